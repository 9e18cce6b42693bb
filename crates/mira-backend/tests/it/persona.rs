//! Her overlay and her mood: chosen by her, pinned or nudged by the owner, the same in every session, kept over a restart.

use crate::support::client::{Api, House};
use openai_sim::{Plan, Reply};
use reqwest::Method;
use serde_json::{Value, json};

fn in_mood(words: &str, persona: &str, mood: &str, cause: &str) -> Plan {
    Plan::structured(Reply::new(words).persona(persona).mood(mood, Some(cause)))
}

#[tokio::test]
async fn the_overlay_she_names_is_the_next_prompts() {
    let house = House::new().await;
    let mut line = house.line().await;
    house.sim.push(in_mood("come here", "haven", "soft", "you sound tired"));
    let told = line.turn("long day").await;
    let persona = told.persona.as_ref().unwrap();
    assert_eq!(
        (
            &persona["persona"],
            &persona["mood"],
            &persona["mood_cause"],
            &persona["pinned"]
        ),
        (
            &json!("haven"),
            &json!("soft"),
            &json!("you sound tired"),
            &json!(false)
        )
    );
    assert_eq!(told.reply()["persona"], "haven");
    assert!(house.state().contains("overlay: default\n"));
    line.turn("thanks").await;
    let state = house.state();
    for part in [
        "overlay: haven\n",
        "mood: soft\n",
        "mood_cause: you sound tired\n",
        "pinned: no\n",
    ] {
        assert!(state.contains(part), "{part} in {state}");
    }
    let instructions = house.prompts().pop().unwrap().body["instructions"].to_string();
    assert!(instructions.contains("(haven)"), "the overlay's own voice");
}

#[tokio::test]
async fn a_pin_wins_until_it_is_released() {
    let house = House::new().await;
    let (mut line, mut other) = (house.line().await, house.line().await);
    line.send(json!({ "type": "switch_persona", "persona": "hallow" }))
        .await;
    let event = other.wait("persona").await;
    assert_eq!((&event["persona"], &event["pinned"]), (&json!("hallow"), &json!(true)));
    assert!(event.get("turn_id").is_none() && event["seq"].is_u64());
    house.sim.push(in_mood("no change", "forbidden", "sly", "mischief"));
    let told = line.turn("stay").await;
    assert_eq!(told.reply()["persona"], "hallow");
    assert_eq!(told.persona.unwrap()["pinned"], true);
    let state = house.state();
    assert!(
        state.contains("overlay: hallow\n") && state.contains("pinned: yes"),
        "{state}"
    );
    assert_eq!(house.api.get("/api/sessions/eternal").await["pinned_persona"], "hallow");
    // A pin is of its session.
    house
        .api
        .post("/api/sessions", json!({ "id": "free" }))
        .await
        .expect(201);
    house
        .api
        .post("/api/chat", json!({ "content": "x", "session_id": "free" }))
        .await
        .expect(200);
    assert!(house.state().contains("pinned: no"));

    let released = house
        .api
        .put("/api/sessions/eternal/persona", json!({ "persona": null }))
        .await;
    assert_eq!(released.expect(200)["pinned_persona"], Value::Null);
    house.sim.push(in_mood("as I like", "forbidden", "sly", "mischief"));
    assert_eq!(line.turn("your choice").await.reply()["persona"], "forbidden");

    for body in [
        json!({ "persona": "nobody" }),
        json!({ "persona": "No Name" }),
        json!({}),
        json!({ "mood": " " }),
    ] {
        let problem = house
            .api
            .put("/api/sessions/eternal/persona", body.clone())
            .await
            .problem(422, "invalid");
        assert!(
            problem["errors"][0]["field"] == "persona" || problem["errors"][0]["field"] == "mood",
            "{body}"
        );
        let mut frame = body;
        frame["type"] = json!("switch_persona");
        line.send(frame).await;
        line.refused(422).await;
    }
}

#[tokio::test]
async fn an_overlay_for_one_turn_only() {
    let house = House::new().await;
    let mut line = house.line().await;
    let told = line
        .ask(json!({ "type": "chat", "content": "tease me", "persona": "forbidden" }))
        .await;
    assert_eq!(told.reply()["persona"], "forbidden");
    assert!(house.state().contains("overlay: forbidden\n"));
    line.turn("and now?").await;
    assert!(house.state().contains("overlay: default\n"), "{}", house.state());
    for path in ["/chat", "/api/chat"] {
        let body = json!({ "content": "once", "persona": "haven", "session_id": "eternal" });
        assert_eq!(house.api.post(path, body).await.expect(200)["persona"], "haven");
    }
    assert_ne!(house.api.get("/api/sessions/eternal").await["persona"], "haven");
}

#[tokio::test]
async fn she_is_told_of_a_nudge_once() {
    let house = House::new().await;
    let mut line = house.line().await;
    line.send(json!({ "type": "switch_persona", "mood": "stormy" })).await;
    assert_eq!(line.wait("persona").await["mood"], "stormy");
    house.sim.push(in_mood("fine", "default", "stormy", "you asked"));
    line.turn("well?").await;
    assert!(house.state().contains("mood: stormy\n") && house.state().contains("mood_nudge: stormy\n"));
    line.turn("and?").await;
    assert!(house.state().contains("mood: stormy\n"), "{}", house.state());
    assert!(!house.state().contains("mood_nudge"), "{}", house.state());
    // A turn that failed told her nothing.
    house
        .api
        .put("/api/sessions/eternal/persona", json!({ "mood": "giddy" }))
        .await
        .expect(200);
    house.sim.push(Plan::status(401));
    assert_eq!(line.turn("oops").await.outcome, "failed");
    line.turn("again").await;
    assert!(house.state().contains("mood_nudge: giddy\n"), "{}", house.state());
}

#[tokio::test]
async fn the_moods_make_a_timeline() {
    let house = House::new().await;
    for (mood, cause) in [("amused", "a pun"), ("wistful", "rain"), ("proud", "you did it")] {
        house.sim.push(in_mood("ok", "default", mood, cause));
        house.api.say("x").await;
    }
    house
        .api
        .put("/api/sessions/eternal/persona", json!({ "mood": "calm" }))
        .await
        .expect(200);
    let list = house.api.get("/api/sessions/eternal/moods").await;
    let moods = list["moods"].as_array().unwrap();
    let line: Vec<(&str, &str)> = moods
        .iter()
        .map(|m| (m["mood"].as_str().unwrap(), m["source"].as_str().unwrap()))
        .collect();
    assert_eq!(
        line,
        [
            ("calm", "owner"),
            ("proud", "reply"),
            ("wistful", "reply"),
            ("amused", "reply")
        ]
    );
    assert_eq!(moods[1]["cause"], "you did it");
    let history = house.api.history().await;
    assert_eq!(moods[1]["message_id"], history[5]["id"]);
    let page = house.api.get("/api/sessions/eternal/moods?limit=3").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = house
        .api
        .get(&format!("/api/sessions/eternal/moods?limit=3&cursor={cursor}"))
        .await;
    assert_eq!((&rest["moods"][0], &rest["next_cursor"]), (&moods[3], &Value::Null));
}

#[tokio::test]
async fn mood_and_overlay_go_with_her_and_survive() {
    let mut house = House::new().await;
    house.sim.push(in_mood("mm", "hallow", "tender", "an old song"));
    house.api.say("listen").await;
    let session = house
        .api
        .post("/api/sessions", json!({ "id": "next" }))
        .await
        .expect(201);
    assert_eq!(
        (&session["persona"], &session["mood"]),
        (&json!("hallow"), &json!("tender"))
    );
    for (path, body) in [
        (
            "/api/chat",
            json!({ "content": "a", "session_id": "next", "persona": "hallow" }),
        ),
        ("/chat", json!({ "message": "b", "persona": "hallow" })),
    ] {
        house.sim.push(in_mood("mm", "hallow", "tender", "an old song"));
        house.api.post(path, body).await.expect(200);
        let state = house.state();
        assert!(
            state.contains("overlay: hallow\n") && state.contains("mood: tender\n"),
            "{path}: {state}"
        );
    }
    house
        .api
        .put("/api/sessions/next/persona", json!({ "persona": "haven" }))
        .await
        .expect(200);
    house.server.signal("KILL");
    house.server.wait();
    house.server = house.setup.start();
    house.api = Api::new(&house.server).await;
    let session = house.api.get("/api/sessions/next").await;
    assert_eq!(
        (&session["pinned_persona"], &session["mood"]),
        (&json!("haven"), &json!("tender"))
    );
    house.api.say("still you?").await;
    let state = house.state();
    // A pin puts her into that overlay, and where there is no pin she stays in it.
    assert!(
        state.contains("overlay: haven\n") && state.contains("mood_cause: an old song\n"),
        "{state}"
    );
    assert!(state.contains("pinned: no\n"), "{state}");
}

/// The overlays once the folder has been looked at again.
async fn personas_when(house: &House, ready: impl Fn(&Value) -> bool) -> Value {
    let deadline = std::time::Instant::now() + crate::support::server::LIMIT;
    loop {
        let list = house.api.get("/api/personas").await;
        if ready(&list) {
            return list;
        }
        assert!(std::time::Instant::now() < deadline, "{list:#}");
    }
}

#[tokio::test]
async fn the_owners_own_overlays_need_no_restart() {
    let house = House::new().await;
    let builtin = house.api.get("/api/personas").await;
    let names: Vec<&Value> = builtin["personas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(names, ["default", "forbidden", "hallow", "haven"]);
    assert_eq!(builtin["skipped"], json!([]));

    let folder = house.setup.data_dir().join("personas");
    std::fs::create_dir_all(&folder).unwrap();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../personas/haven.md");
    let text = std::fs::read_to_string(shipped).unwrap();
    let mine = text
        .replacen("name: haven", "name: pirate", 1)
        .replacen("title: Haven", "title: Pirate", 1);
    let mine = mine.replacen("The day has been at them", "Arr, the plank is polished", 1);
    std::fs::write(folder.join("pirate.md"), mine).unwrap();
    std::fs::write(folder.join("broken.md"), "---\nname: Not A Name!\n---\nwords").unwrap();
    let list = personas_when(&house, |list| list["personas"].as_array().unwrap().len() == 5).await;
    assert_eq!(list["skipped"][0]["file"], "broken.md");
    assert!(!list["skipped"][0]["reason"].as_str().unwrap().is_empty());
    assert_eq!(house.api.get("/api/personas/pirate").await["source"], "pirate.md");

    house
        .api
        .put("/api/sessions/eternal/persona", json!({ "persona": "pirate" }))
        .await
        .expect(200);
    assert_eq!(house.api.say("ahoy").await["persona"], "pirate");
    let prompt = house.prompts().pop().unwrap().body;
    assert!(
        prompt["instructions"]
            .as_str()
            .unwrap()
            .contains("Arr, the plank is polished")
    );
    assert!(house.state().contains("overlay: pirate\n"));

    // Gone again: she falls back, and goes on talking.
    std::fs::remove_file(folder.join("pirate.md")).unwrap();
    personas_when(&house, |list| list["personas"].as_array().unwrap().len() == 4).await;
    house.api.say("still there?").await;
    assert!(house.state().contains("overlay: default\n"), "{}", house.state());
    for name in ["pirate", "..", "%2e%2e%2ftoken", "A"] {
        let answer = house
            .api
            .call(Method::GET, &format!("/api/personas/{name}"), None)
            .await;
        assert!(matches!(answer.status, 404), "{name}: {}", answer.body);
    }
}
