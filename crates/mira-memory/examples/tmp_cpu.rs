#![allow(warnings, clippy::all, clippy::pedantic)]
include!("turn_cost.rs.inc");
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 10_000.0
}
#[tokio::main]
async fn main() {
    for d in [Durability::Normal, Durability::Full] {
    let dir = tempfile::tempdir_in(".").unwrap();
    let options = StoreOptions { path: dir.path().join("mira.db"), readers: 4, durability: d, backup_dir: dir.path().join("backups"), default_persona: persona() };
    let store = Arc::new(Store::open(options.clone(), now()).await.unwrap());
    let id: SessionId = "s".parse().unwrap();
    store.insert_session(ME, NewSession { id: id.clone(), title: None, pinned_persona: None, project_id: None, memory: MemoryMode::On, now: now() }).await.unwrap();
    let n = 1500;
    let text = reply_text();
    let short = "A short answer of about twenty tokens, which is what the bar of the issue counts with, so here it is.";
    let mut turns = vec![];
    let c = (cpu(), Instant::now());
    for _ in 0..n { let t = begin(&id); turns.push(t.turn_id); store.begin_turn(ME, t).await.unwrap(); }
    println!("begin   cpu {:.0} us wall {:.0}", (cpu()-c.0)/n as f64, c.1.elapsed().as_micros() as f64 / n as f64);
    let c = (cpu(), Instant::now());
    for t in &turns[..n/2] { store.finish_turn(ME, finish(*t, &text)).await.unwrap(); }
    println!("finish 150 words cpu {:.0} us wall {:.0}", (cpu()-c.0)/(n/2) as f64, c.1.elapsed().as_micros() as f64 / (n/2) as f64);
    let c = (cpu(), Instant::now());
    for t in &turns[n/2..] { store.finish_turn(ME, finish(*t, short)).await.unwrap(); }
    println!("finish short cpu {:.0} us wall {:.0}", (cpu()-c.0)/(n/2) as f64, c.1.elapsed().as_micros() as f64 / (n/2) as f64);
    let c = (cpu(), Instant::now());
    for _ in 0..n { store.branch(ME, &id, BranchFrom::Head, 30, None).await.unwrap(); }
    println!("branch30 cpu {:.0} us wall {:.0}", (cpu()-c.0)/n as f64, c.1.elapsed().as_micros() as f64 / n as f64);
    let c = (cpu(), Instant::now());
    for _ in 0..n { store.branch(ME, &id, BranchFrom::Head, 1, None).await.unwrap(); }
    println!("branch1 cpu {:.0} us wall {:.0}", (cpu()-c.0)/n as f64, c.1.elapsed().as_micros() as f64 / n as f64);
    let c = (cpu(), Instant::now());
    for _ in 0..n { store.find_session(ME, &id).await.unwrap(); }
    println!("find_session cpu {:.0} us wall {:.0}", (cpu()-c.0)/n as f64, c.1.elapsed().as_micros() as f64 / n as f64);
    }
}
