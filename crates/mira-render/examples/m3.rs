use std::time::Instant;
fn main() {
    for k in [250_000usize, 500_000] {
        let s = "&".repeat(k);
        let t = Instant::now();
        let mut h = String::new();
        pulldown_cmark::html::push_html(&mut h, pulldown_cmark::Parser::new(&s));
        println!("pull {:?}", t.elapsed());
        let t = Instant::now();
        let d = ammonia::Builder::empty().add_tags(["p"]).clean(&h);
        println!("clean {:?}", t.elapsed());
        let t = Instant::now();
        let o = d.to_string();
        println!("ser {} {:?}", o.len(), t.elapsed());
        let h = format!("<p>{}</p>", "&amp; ".repeat(k));
        let t = Instant::now();
        let d = ammonia::Builder::empty().add_tags(["p"]).clean(&h);
        println!("clean2 {:?} {}", t.elapsed(), d.to_string().len());
    }
}
