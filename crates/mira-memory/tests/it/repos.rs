//! Attached repositories and proposals: rows that belong to a project, tell the truth after a crash, and leave word of
//! what is still to be removed.

use crate::support::*;
use mira_core::{
    ids::{AccountId, AttachmentId, MessageId, ProjectId, ProposalId},
    repo::{ProposalKind, ProposalState, Repo, RepoProgress, RepoStatus, WriteMode},
};
use mira_memory::{Decision, NewProposal, NewRepo, Page, ProposalFilter, RepoPatch};
use uuid::Uuid;

const OTHER: AccountId = AccountId(2);

fn attachment(n: u128) -> AttachmentId {
    AttachmentId(Uuid::from_u128(0xA000 + n))
}

fn proposal_id(n: u128) -> ProposalId {
    ProposalId(Uuid::from_u128(0xB000 + n))
}

async fn attached(fixture: &Fixture, project: ProjectId, n: u128) -> Repo {
    let new = NewRepo {
        id: attachment(n),
        project_id: project,
        repo_url: format!("https://example.org/{n}.git"),
        branch: None,
        now: now(),
    };
    fixture.store.insert_repo(ME, new).await.unwrap().unwrap()
}

fn is(status: RepoStatus) -> RepoPatch {
    RepoPatch {
        status: Some(status),
        ..RepoPatch::default()
    }
}

fn write(n: u128, repo: AttachmentId, text: &str) -> NewProposal {
    NewProposal {
        id: proposal_id(n),
        repo_id: repo,
        kind: ProposalKind::Write,
        path: "src/a.rs".to_owned(),
        new_path: None,
        base_sha: Some("aa".repeat(20)),
        old_text: Some("old".to_owned()),
        new_text: Some(text.to_owned()),
        message: "Update src/a.rs".to_owned(),
        message_id: None,
        now: now(),
    }
}

#[tokio::test]
async fn a_repository_belongs_to_its_project() {
    let fixture = Fixture::new().await;
    let (mine, other) = (fixture.project("mine").await, fixture.project("other").await);
    let repo = attached(&fixture, mine, 1).await;
    assert_eq!((repo.status, repo.writes), (RepoStatus::Cloning, WriteMode::Propose));
    let store = &fixture.store;
    assert_eq!(store.find_repo(ME, mine, repo.id).await.unwrap(), Some(repo.clone()));
    assert_eq!(store.find_repo(ME, other, repo.id).await.unwrap(), None);
    assert_eq!(store.find_repo(OTHER, mine, repo.id).await.unwrap(), None);
    assert_eq!(store.delete_repo(ME, other, repo.id).await.unwrap(), None);
    assert_eq!(store.delete_repo(OTHER, mine, repo.id).await.unwrap(), None);
    let patch = is(RepoStatus::Ready);
    assert_eq!(store.update_repo(OTHER, repo.id, patch, now()).await.unwrap(), None);
    assert_eq!(store.list_repos(ME, other, Page::first(9)).await.unwrap().items, []);
    assert_eq!(store.list_repos(OTHER, mine, Page::first(9)).await.unwrap().items, []);
    let nowhere = NewRepo {
        id: attachment(2),
        project_id: ProjectId(Uuid::from_u128(9)),
        repo_url: "https://example.org/2.git".to_owned(),
        branch: None,
        now: now(),
    };
    assert_eq!(store.insert_repo(ME, nowhere).await.unwrap(), None);
}

#[tokio::test]
async fn pages_come_in_the_order_of_attaching() {
    let fixture = Fixture::new().await;
    let project = fixture.project("p").await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(attached(&fixture, project, n).await.id);
    }
    let (mut seen, mut page) = (Vec::new(), Page::first(2));
    loop {
        let listed = fixture.store.list_repos(ME, project, page).await.unwrap();
        seen.extend(listed.items.iter().map(|repo| repo.id));
        let Some(next) = listed.next else { break };
        page.cursor = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn a_patch_may_demand_how_it_stands() {
    let fixture = Fixture::new().await;
    let project = fixture.project("p").await;
    let repo = attached(&fixture, project, 1).await;
    let progress = RepoProgress {
        stage: "receiving".to_owned(),
        received_objects: 3,
        total_objects: 10,
        received_bytes: 77,
        percent: 30,
    };
    let store = &fixture.store;
    let patch = RepoPatch {
        only_if: Some(RepoStatus::Cloning),
        progress: Some(Some(progress.clone())),
        ..RepoPatch::default()
    };
    let told = store
        .update_repo(ME, repo.id, patch.clone(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(told.progress, Some(progress));
    let ready = RepoPatch {
        progress: Some(None),
        branch: Some(Some("main".to_owned())),
        last_sync_at: Some(now()),
        writes: Some(WriteMode::Direct),
        ..is(RepoStatus::Ready)
    };
    let ready = store.update_repo(ME, repo.id, ready, now()).await.unwrap().unwrap();
    assert_eq!(
        store.update_repo(ME, repo.id, patch, now()).await.unwrap(),
        None,
        "too late"
    );
    assert_eq!(
        store.find_repo(ME, project, repo.id).await.unwrap(),
        Some(ready.clone())
    );
    assert_eq!(
        (
            ready.progress,
            ready.branch.as_deref(),
            ready.last_sync_at,
            ready.writes
        ),
        (None, Some("main"), Some(now()), WriteMode::Direct)
    );
}

#[tokio::test]
async fn after_a_crash_nothing_is_under_way() {
    let fixture = Fixture::new().await;
    let project = fixture.project("p").await;
    for (n, status) in RepoStatus::ALL.iter().enumerate() {
        let repo = attached(&fixture, project, n as u128).await;
        fixture
            .store
            .update_repo(ME, repo.id, is(*status), now())
            .await
            .unwrap();
    }
    let fixture = fixture.reopened().await;
    assert!(fixture.store.recover_repos(ME, "cut short", now()).await.unwrap());
    assert!(!fixture.store.recover_repos(ME, "cut short", now()).await.unwrap());
    let all = fixture.store.list_all_repos(ME).await.unwrap();
    let found: Vec<_> = all.iter().map(|repo| (repo.status, repo.error.as_deref())).collect();
    assert_eq!(
        found,
        [
            (RepoStatus::Failed, Some("cut short")),
            (RepoStatus::Ready, None),
            (RepoStatus::Ready, Some("cut short")),
            (RepoStatus::Failed, None),
            (RepoStatus::Cancelled, None),
        ]
    );
}

#[tokio::test]
async fn what_is_detached_is_remembered_until_it_is_removed() {
    let fixture = Fixture::new().await;
    let (kept, gone) = (fixture.project("kept").await, fixture.project("gone").await);
    let (a, b, c) = (
        attached(&fixture, kept, 1).await,
        attached(&fixture, gone, 2).await,
        attached(&fixture, gone, 3).await,
    );
    let store = &fixture.store;
    assert_eq!(store.count_project(ME, gone).await.unwrap().unwrap().repos, 2);
    store.insert_proposal(ME, write(1, b.id, "new")).await.unwrap().unwrap();
    assert_eq!(store.delete_repo(ME, kept, a.id).await.unwrap(), Some(a.clone()));
    let deleted = store.delete_project(ME, gone).await.unwrap().unwrap();
    assert_eq!((deleted.counts.repos, deleted.repos), (2, vec![b.clone(), c.clone()]));
    assert_eq!(store.list_all_repos(ME).await.unwrap(), []);
    assert_eq!(fixture.count("SELECT count(*) FROM proposals").await, 0);
    let mut left = store.list_repo_leftovers(ME).await.unwrap();
    left.sort();
    assert_eq!(left, [a.id, b.id, c.id]);
    assert_eq!(store.list_repo_leftovers(OTHER).await.unwrap(), []);
    store.delete_repo_leftover(ME, b.id).await.unwrap();
    store.delete_repo_leftover(ME, b.id).await.unwrap();
    let mut left = store.list_repo_leftovers(ME).await.unwrap();
    left.sort();
    assert_eq!(left, [a.id, c.id]);
}

#[tokio::test]
async fn proposals_are_decided_once() {
    let fixture = Fixture::new().await;
    let (project, other) = (fixture.project("p").await, fixture.project("other").await);
    let repo = attached(&fixture, project, 1).await;
    let store = &fixture.store;
    let made = store
        .insert_proposal(ME, write(1, repo.id, "new"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(made.replaced, None);
    let proposal = made.proposal;
    assert_eq!(
        (proposal.state, proposal.new_text.as_deref()),
        (ProposalState::Open, Some("new"))
    );
    let found = store.find_proposal(ME, project, proposal.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&proposal));
    assert_eq!(store.find_proposal(ME, other, proposal.id).await.unwrap(), None);
    assert_eq!(store.find_proposal(OTHER, project, proposal.id).await.unwrap(), None);
    let unknown = write(7, attachment(99), "new");
    assert_eq!(store.insert_proposal(ME, unknown).await.unwrap(), None);

    let decide = async |decision| {
        let decided = store.decide_proposal(ME, proposal.id, decision, now()).await;
        decided.unwrap().unwrap()
    };
    assert_eq!(decide(Decision::Stale).await.state, ProposalState::Stale);
    let commit = "bb".repeat(20);
    let applied = decide(Decision::Applied(commit.clone())).await;
    assert_eq!(
        (applied.state, applied.commit.clone(), applied.decided_at),
        (ProposalState::Applied, Some(commit), Some(now()))
    );
    assert_eq!(decide(Decision::Discarded).await, applied);
    assert_eq!(decide(Decision::Applied("cc".repeat(20))).await, applied);
}

#[tokio::test]
async fn of_one_reply_the_last_word_about_a_file_counts() {
    let (fixture, session) = Fixture::with_session().await;
    let project = fixture.project("p").await;
    let repo = attached(&fixture, project, 1).await;
    let (_, reply) = fixture.say(&session, "change it", "done").await;
    let store = &fixture.store;
    let of = |n, message_id: Option<MessageId>, path: &str| NewProposal {
        message_id,
        path: path.to_owned(),
        ..write(n, repo.id, &format!("text {n}"))
    };
    for new in [of(1, Some(reply.id), "a"), of(2, None, "a"), of(3, Some(reply.id), "b")] {
        let made = store.insert_proposal(ME, new).await.unwrap().unwrap();
        assert_eq!(made.replaced, None);
    }
    let made = store
        .insert_proposal(ME, of(4, Some(reply.id), "a"))
        .await
        .unwrap()
        .unwrap();
    let replaced = made.replaced.unwrap();
    assert_eq!(
        (replaced.id, replaced.state),
        (proposal_id(1), ProposalState::Discarded)
    );
    let open = store.find_open_proposal(ME, repo.id, "a").await.unwrap().unwrap();
    assert_eq!((open.id, open.new_text.as_deref()), (proposal_id(4), Some("text 4")));
    assert_eq!(store.find_open_proposal(ME, repo.id, "c").await.unwrap(), None);

    let list = async |state, cursor: Option<&str>, limit| {
        let filter = ProposalFilter { state, repo_id: None };
        let page = Page {
            limit,
            cursor: cursor.map(|text| text.parse().unwrap()),
        };
        let listed = store.list_proposals(ME, project, filter, page).await.unwrap();
        assert!(
            listed
                .items
                .iter()
                .all(|one| one.new_text.is_none() && one.old_text.is_none())
        );
        let ids: Vec<ProposalId> = listed.items.iter().map(|one| one.id).collect();
        (ids, listed.next.map(|next| next.to_string()))
    };
    let (all, _) = list(None, None, 9).await;
    assert_eq!(all, [4, 3, 2, 1].map(proposal_id));
    let (open, next) = list(Some(ProposalState::Open), None, 2).await;
    assert_eq!(open, [4, 3].map(proposal_id));
    let (open, next) = list(Some(ProposalState::Open), next.as_deref(), 2).await;
    assert_eq!((open, next), (vec![proposal_id(2)], None));

    // What was said may go; what it proposed stays for the owner to decide.
    store.delete_session(ME, &session).await.unwrap();
    let kept = store.find_proposal(ME, project, proposal_id(4)).await.unwrap().unwrap();
    assert_eq!(kept.message_id, None);
}
