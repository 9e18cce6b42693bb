//! Artifacts: versions that stay, contents that lie once, updates that are never lost.

use crate::support::*;
use mira_core::{
    ids::{AccountId, ArtifactId, ProjectId},
    project::{Artifact, ArtifactContent, ArtifactKind, Author},
};
use mira_memory::{
    ArtifactPatch, DeleteOutcome, Expected, NewArtifact, NewProject, NewVersion, Origin, Page, VersionOutcome,
};

const OTHER: AccountId = AccountId(2);
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x00\x00\x00,";

fn origin() -> Origin {
    Origin {
        author: Author::Owner,
        message_id: None,
        now: now(),
    }
}

fn text(text: &str) -> ArtifactContent {
    ArtifactContent::Text(text.to_owned())
}

fn version(content: ArtifactContent, expected: Expected) -> NewVersion {
    NewVersion {
        content,
        expected,
        patch: ArtifactPatch::default(),
        origin: origin(),
    }
}

fn rename(name: &str) -> ArtifactPatch {
    ArtifactPatch {
        name: Some(name.to_owned()),
        language: None,
    }
}

impl Fixture {
    pub fn new_project(&self, name: &str) -> NewProject {
        NewProject {
            id: ProjectId(self.message_id().0),
            name: name.to_owned(),
            description: String::new(),
            tags: Vec::new(),
            instructions: String::new(),
            approvals: mira_core::approval::Asks::default(),
            now: now(),
        }
    }

    /// A project with an id the test chose.
    pub async fn known_project(&self, id: u128) -> ProjectId {
        let new = NewProject {
            id: ProjectId(uuid::Uuid::from_u128(id)),
            ..self.new_project("known")
        };
        self.store.insert_project(ME, new).await.unwrap().id
    }

    pub async fn project(&self, name: &str) -> ProjectId {
        self.store.insert_project(ME, self.new_project(name)).await.unwrap().id
    }

    pub fn new_artifact(&self, project_id: ProjectId, name: &str, content: ArtifactContent) -> NewArtifact {
        NewArtifact {
            id: ArtifactId(self.message_id().0),
            project_id,
            name: name.to_owned(),
            kind: match content {
                ArtifactContent::Text(_) => ArtifactKind::Code,
                ArtifactContent::Image(_) => ArtifactKind::Image,
            },
            language: Some("rust".to_owned()),
            content,
            origin: origin(),
        }
    }

    pub async fn artifact(&self, project: ProjectId, name: &str, content: &str) -> Artifact {
        let new = self.new_artifact(project, name, text(content));
        self.store.create_artifact(ME, new).await.unwrap().unwrap()
    }

    pub async fn put(&self, id: ArtifactId, content: &str) -> Artifact {
        match self
            .store
            .add_version(ME, id, version(text(content), Expected::Anything))
            .await
            .unwrap()
        {
            VersionOutcome::Added(artifact) => artifact,
            other => panic!("{other:?}"),
        }
    }

    async fn blobs(&self) -> i64 {
        self.count("SELECT count(*) FROM artifact_blobs").await
    }
}

#[tokio::test]
async fn versions_stay_and_contents_lie_once() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let project = fixture.project("p").await;
    let made = fixture.artifact(project, "main.rs", "one").await;
    assert_eq!(
        (made.version, made.size, made.content.clone()),
        (1, 3, Some(text("one")))
    );
    assert_eq!(store.find_artifact(ME, made.id).await.unwrap(), Some(made.clone()));
    let second = fixture.put(made.id, "two").await;
    assert_eq!(second.version, 2);
    // The same again: nothing new.
    let again = store
        .add_version(ME, made.id, version(text("two"), Expected::Version(2)))
        .await
        .unwrap();
    assert_eq!(again, VersionOutcome::Unchanged(second.clone()));
    // The same content under another name.
    let mut renamed = version(text("two"), Expected::Version(2));
    renamed.patch = rename("lib.rs");
    let VersionOutcome::Renamed(renamed) = store.add_version(ME, made.id, renamed).await.unwrap() else {
        panic!("not renamed")
    };
    assert_eq!((renamed.version, renamed.name.as_str()), (2, "lib.rs"));
    // Back to the first: a version of its own, with the old content.
    let restored = store
        .restore_version(ME, made.id, 1, Expected::Version(2), origin())
        .await
        .unwrap();
    let VersionOutcome::Added(restored) = restored else {
        panic!("{restored:?}")
    };
    assert_eq!((restored.version, restored.content.as_ref()), (3, Some(&text("one"))));
    assert_eq!(restored.sha256, made.sha256);
    let same = store
        .restore_version(ME, made.id, 1, Expected::Anything, origin())
        .await
        .unwrap();
    assert!(matches!(same, VersionOutcome::Unchanged(_)), "{same:?}");
    for (expected, wanted, outcome) in [
        (Expected::Anything, 9, VersionOutcome::NoSuchVersion),
        (Expected::Anything, 0, VersionOutcome::NoSuchVersion),
        (Expected::Version(2), 1, VersionOutcome::Mismatch { version: 3 }),
    ] {
        let found = store
            .restore_version(ME, made.id, wanted, expected, origin())
            .await
            .unwrap();
        assert_eq!(found, outcome);
    }
    assert_eq!(fixture.blobs().await, 2);
    for (n, content) in [(1, "one"), (2, "two"), (3, "one")] {
        let found = store.find_version(ME, made.id, n).await.unwrap().unwrap();
        assert_eq!((found.version, found.content), (n, Some(text(content))));
    }
    let listed = store.list_versions(ME, made.id, Page::first(2)).await.unwrap();
    let numbers: Vec<_> = listed
        .items
        .iter()
        .map(|version| (version.version, version.content.is_none()))
        .collect();
    assert_eq!(numbers, [(3, true), (2, true)]);
    let rest = Page {
        limit: 2,
        cursor: listed.next,
    };
    let rest = store.list_versions(ME, made.id, rest).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));

    // Another artifact has one of the contents too: it stays when this one goes.
    let other = fixture.artifact(project, "b", "two").await;
    assert_eq!(fixture.blobs().await, 2);
    assert_eq!(
        store.delete_artifact(ME, made.id, Expected::Version(1)).await.unwrap(),
        DeleteOutcome::Mismatch { version: 3 }
    );
    assert_eq!(
        store.delete_artifact(ME, made.id, Expected::Version(3)).await.unwrap(),
        DeleteOutcome::Deleted(project)
    );
    assert_eq!(
        store.delete_artifact(ME, made.id, Expected::Anything).await.unwrap(),
        DeleteOutcome::NoSuchArtifact
    );
    assert_eq!(
        (fixture.blobs().await, store.find_version(ME, made.id, 1).await.unwrap()),
        (1, None)
    );
    assert_eq!(
        store.find_artifact(ME, other.id).await.unwrap().unwrap().content,
        Some(text("two"))
    );
    store.delete_artifact(ME, other.id, Expected::Anything).await.unwrap();
    assert_eq!(fixture.blobs().await, 0);
}

#[tokio::test]
async fn of_many_who_know_one_version_one_wins() {
    let fixture = Fixture::new().await;
    let project = fixture.project("p").await;
    let artifact = fixture.artifact(project, "a", "").await;
    let writers = (0..16).map(|n| {
        fixture
            .store
            .add_version(ME, artifact.id, version(text(&n.to_string()), Expected::Version(1)))
    });
    let outcomes = futures_util::future::join_all(writers).await;
    let (mut added, mut refused) = (0, 0);
    for outcome in outcomes {
        match outcome.unwrap() {
            VersionOutcome::Added(artifact) => {
                assert_eq!(artifact.version, 2);
                added += 1;
            }
            VersionOutcome::Mismatch { version: 2 } => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((added, refused), (1, 15));
}

#[tokio::test]
async fn what_is_exactly_known_has_its_name_too() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let project = fixture.project("p").await;
    let known = fixture.artifact(project, "a", "one").await;
    let old = Expected::exactly(&known);
    let renamed = { store.update_artifact(ME, known.id, rename("b"), old.clone(), now()) }.await;
    let VersionOutcome::Renamed(renamed) = renamed.unwrap() else {
        panic!("not renamed")
    };
    // The version is the same, the artifact is not.
    let mismatch = VersionOutcome::Mismatch { version: 1 };
    let put = store.add_version(ME, known.id, version(text("two"), old.clone())).await;
    assert_eq!(put.unwrap(), mismatch);
    let restored = { store.restore_version(ME, known.id, 1, old.clone(), origin()) }.await;
    assert_eq!(restored.unwrap(), mismatch);
    let again = { store.update_artifact(ME, known.id, rename("c"), old.clone(), now()) }.await;
    assert_eq!(again.unwrap(), mismatch);
    let deleted = store.delete_artifact(ME, known.id, old).await;
    assert_eq!(deleted.unwrap(), DeleteOutcome::Mismatch { version: 1 });
    assert_eq!(store.find_artifact(ME, known.id).await.unwrap(), Some(renamed.clone()));

    let spoken = ArtifactPatch {
        name: None,
        language: Some(None),
    };
    let exactly = Expected::exactly(&renamed);
    let silent = { store.update_artifact(ME, known.id, spoken, exactly.clone(), now()) }.await;
    assert!(matches!(silent, Ok(VersionOutcome::Renamed(_))), "{silent:?}");
    let put = store.add_version(ME, known.id, version(text("two"), exactly)).await;
    assert_eq!(put.unwrap(), mismatch, "the language counts");
    // Who knows the version only does not mind the name.
    let put = store
        .add_version(ME, known.id, version(text("two"), Expected::Version(1)))
        .await;
    assert!(matches!(put, Ok(VersionOutcome::Added(_))), "{put:?}");
}

#[tokio::test]
async fn pictures_and_texts_do_not_mix() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let project = fixture.project("p").await;
    let picture = ArtifactContent::Image(GIF.to_vec());
    let image = store
        .create_artifact(ME, fixture.new_artifact(project, "i", picture.clone()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        store.find_artifact(ME, image.id).await.unwrap().unwrap().content,
        Some(picture.clone())
    );
    let outcome = store
        .add_version(ME, image.id, version(text("x"), Expected::Anything))
        .await
        .unwrap();
    assert_eq!(outcome, VersionOutcome::WrongContent);
    let code = fixture.artifact(project, "c", "x").await;
    let outcome = store
        .add_version(ME, code.id, version(picture, Expected::Anything))
        .await
        .unwrap();
    assert_eq!(outcome, VersionOutcome::WrongContent);
    // Bytes that are a text as well lie once; each kind reads them as its own.
    let ascii = String::from_utf8(GIF.to_vec()).unwrap();
    let twin = fixture.artifact(project, "twin", &ascii).await;
    assert_eq!(
        store.find_artifact(ME, twin.id).await.unwrap().unwrap().content,
        Some(text(&ascii))
    );
    assert_eq!(twin.sha256, image.sha256);
    assert_eq!(fixture.blobs().await, 2);
}

#[tokio::test]
async fn nobody_elses_artifacts() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture
        .execute("INSERT INTO accounts (id, name) VALUES (2, 'guest')")
        .await;
    let project = fixture.project("p").await;
    let artifact = fixture.artifact(project, "a", "secret").await;
    let id = artifact.id;
    assert_eq!(store.find_project(OTHER, project).await.unwrap(), None);
    assert_eq!(store.find_artifact(OTHER, id).await.unwrap(), None);
    assert_eq!(store.find_version(OTHER, id, 1).await.unwrap(), None);
    assert_eq!(
        store
            .list_artifacts(OTHER, project, Page::first(9))
            .await
            .unwrap()
            .items,
        []
    );
    assert_eq!(store.list_versions(OTHER, id, Page::first(9)).await.unwrap().items, []);
    assert_eq!(
        store
            .add_version(OTHER, id, version(text("x"), Expected::Anything))
            .await
            .unwrap(),
        VersionOutcome::NoSuchArtifact
    );
    assert_eq!(
        store
            .restore_version(OTHER, id, 1, Expected::Anything, origin())
            .await
            .unwrap(),
        VersionOutcome::NoSuchArtifact
    );
    assert_eq!(
        { store.update_artifact(OTHER, id, rename("x"), Expected::Anything, now()) }
            .await
            .unwrap(),
        VersionOutcome::NoSuchArtifact
    );
    assert_eq!(
        store.delete_artifact(OTHER, id, Expected::Anything).await.unwrap(),
        DeleteOutcome::NoSuchArtifact
    );
    let theirs = fixture.new_artifact(project, "x", text("x"));
    assert_eq!(
        store.create_artifact(OTHER, theirs).await.unwrap(),
        None,
        "a project of somebody else"
    );
    // The same content of two accounts lies twice.
    let other = store.insert_project(OTHER, fixture.new_project("q")).await.unwrap();
    let theirs = fixture.new_artifact(other.id, "x", text("secret"));
    store.create_artifact(OTHER, theirs).await.unwrap().unwrap();
    store.delete_artifact(ME, id, Expected::Anything).await.unwrap();
    assert_eq!(fixture.blobs().await, 1);
}

#[tokio::test]
async fn a_version_outlives_the_message_that_made_it() {
    let (fixture, session) = Fixture::with_session().await;
    let (_, reply) = fixture.say(&session, "make it", "done").await;
    let project = fixture.project("p").await;
    let mut new = fixture.new_artifact(project, "a", text("x"));
    new.origin.message_id = Some(reply.id);
    new.origin.author = Author::Mira;
    let made = fixture.store.create_artifact(ME, new).await.unwrap().unwrap();
    assert_eq!((made.author, made.message_id), (Author::Mira, Some(reply.id)));
    fixture.store.delete_session(ME, &session).await.unwrap();
    let found = fixture.store.find_artifact(ME, made.id).await.unwrap().unwrap();
    assert_eq!((found.author, found.message_id), (Author::Mira, None));
}

#[tokio::test]
async fn lists_are_in_the_order_of_changes() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let project = fixture.project("p").await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(fixture.artifact(project, &format!("a{n}"), "x").await.id);
    }
    fixture.put(ids[1], "y").await;
    let renamed = { store.update_artifact(ME, ids[0], rename("z"), Expected::Anything, now()) }.await;
    let VersionOutcome::Renamed(renamed) = renamed.unwrap() else {
        panic!("not renamed")
    };
    assert_eq!((renamed.name.as_str(), renamed.version), ("z", 1));
    let same = { store.update_artifact(ME, ids[3], rename("a3"), Expected::Anything, now()) }.await;
    assert!(
        matches!(same, Ok(VersionOutcome::Unchanged(_))),
        "it has that name: {same:?}"
    );
    let mut names = Vec::new();
    let mut page = Page::first(2);
    loop {
        let listed = store.list_artifacts(ME, project, page).await.unwrap();
        names.extend(listed.items.into_iter().map(|artifact| artifact.name));
        let Some(next) = listed.next else { break };
        page.cursor = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(names, ["z", "a1", "a4", "a3", "a2"]);
}

#[tokio::test]
async fn what_is_deleted_is_nowhere() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let project = fixture.project("Xylophone project").await;
    let artifact = fixture.artifact(project, "n", "The zeppelin lands at dawn.").await;
    let found = store.search_forgotten("zeppelin LANDS").await.unwrap();
    let places: Vec<_> = found
        .iter()
        .map(|found| (found.table.as_str(), found.column.as_str()))
        .collect();
    assert_eq!(places, [("artifact_blobs", "text")]);
    let found = store.search_forgotten("xylophone").await.unwrap();
    let places: Vec<_> = found
        .iter()
        .map(|found| (found.table.as_str(), found.column.as_str()))
        .collect();
    assert_eq!(places, [("projects", "name"), ("projects", "words")]);
    store
        .delete_artifact(ME, artifact.id, Expected::Anything)
        .await
        .unwrap();
    store.delete_project(ME, project).await.unwrap().unwrap();
    store.scrub().await.unwrap();
    for text in ["zeppelin", "Xylophone"] {
        assert_eq!(store.search_forgotten(text).await.unwrap(), []);
        let files = mira_memory::search_files(fixture.dir.path(), text).await.unwrap();
        assert_eq!(files, [], "{text}");
    }
}
