//! Searching the owner's files over REST: the right place first, only where it may be looked for, and never after its file.

use crate::{
    file_care::settled,
    files::{upload, upload_to},
    projects::make,
    support::client::House,
};
use serde_json::Value;

const BREAD: &str = "# Bread\n\n## Dough\n\nMix flour and water, and let it rest for an hour.\n\n## Baking\n\nBake at 250 degrees \
                     until the crust is brown.\n";
const ENGINES: &str = "# Engines\n\n## Oil\n\nChange the oil of the engine every year.\n\n## Belts\n\nA worn belt squeaks \
                       when the motor starts in the cold.\n";

async fn found(house: &House, query: &str) -> Vec<Value> {
    let answer = house.api.get(&format!("/api/files/search?{query}")).await;
    let results = answer["results"].as_array().unwrap().clone();
    for pair in results.windows(2) {
        assert!(pair[0]["score"].as_f64() >= pair[1]["score"].as_f64());
    }
    for result in &results {
        assert!((0.0..=1.0).contains(&result["score"].as_f64().unwrap()), "{result}");
    }
    results
}

async fn names(house: &House, query: &str) -> Vec<String> {
    let results = found(house, query).await;
    results
        .iter()
        .map(|hit| hit["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_place_that_answers_comes_first() {
    let mut house = House::new().await;
    let mut line = house.line().await;
    let bread = upload(&house, "bread.md", BREAD.as_bytes()).await;
    let engines = upload(&house, "engines.md", ENGINES.as_bytes()).await;
    for file in [&bread, &engines] {
        assert_eq!(settled(&house, &mut line, file).await["status"], "ready");
    }
    for _ in 0..2 {
        let first = found(&house, "q=how+hot+do+loaves+bake%3F").await.remove(0);
        assert_eq!(first["name"], "bread.md");
        let first = found(&house, "q=why+do+belts+squeak").await.remove(0);
        assert_eq!((&first["file_id"], &first["page"]), (&engines["id"], &Value::Null));
        assert!(first["snippet"].as_str().unwrap().contains("squeaks"), "{first}");
        // Only there.
        let only = format!("q=oil+dough&file_id={}", bread["id"].as_str().unwrap());
        assert!(names(&house, &only).await.iter().all(|name| name == "bread.md"));
        assert_eq!(found(&house, "q=oil+dough&limit=1").await.len(), 1);
        for query in ["q=%22%22%22", "q=a*+OR+NEAR(", "q=%F0%9F%A6%80", "q=%E6%9D%B1%E4%BA%AC"] {
            found(&house, query).await;
        }
        house.server.signal("KILL");
        house.server.wait();
        house.restart().await;
    }
    house
        .api
        .delete(&format!("/api/files/{}", bread["id"].as_str().unwrap()))
        .await
        .expect(204);
    assert!(
        names(&house, "q=flour+dough+oil")
            .await
            .iter()
            .all(|name| name == "engines.md")
    );
}

#[tokio::test]
async fn a_projects_files_are_found_in_it_alone() {
    let house = House::new().await;
    let mut line = house.line().await;
    let project = make(&house, "Kitchen").await;
    let free = upload(&house, "engines.md", ENGINES.as_bytes()).await;
    let path = format!("/api/projects/{project}/files");
    let tied = upload_to(&house, &path, "bread.md", BREAD.as_bytes()).await;
    for file in [&free, &tied] {
        assert_eq!(settled(&house, &mut line, file).await["status"], "ready");
    }
    assert!(
        names(&house, "q=flour+dough+oil")
            .await
            .iter()
            .all(|name| name == "engines.md")
    );
    let inside = names(&house, &format!("q=flour+dough+oil&project_id={project}")).await;
    assert_eq!(inside.first().map(String::as_str), Some("bread.md"));
    assert!(inside.contains(&"engines.md".to_owned()));
    house.api.delete(&format!("/api/projects/{project}")).await.expect(200);
    assert!(
        names(&house, "q=flour+dough+oil")
            .await
            .iter()
            .all(|name| name == "engines.md")
    );
}
