//! The objects of projects and artifacts that clients see. Times are RFC 3339 in UTC.

use super::git_objects::{HunkObject, RepoObject, UnpublishedObject};
use crate::services::{
    artifacts::{content_text, diff::Diff},
    git::unpublished::Unsaved,
};
use mira_core::{
    project::{Artifact, ArtifactVersion, Project, ProjectDeletion, hex},
    repo::Repo,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// A content larger than this is not sent to every socket with the news of its change.
const MAX_EVENT_BYTES: u64 = 32 * 1024;

/// A project.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Project)]
pub struct ProjectObject {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Lower case, each once.
    pub tags: Vec<String>,
    /// What she is told in every turn of it.
    pub instructions: String,
    /// What she asks before: `outside` or `writes`.
    pub approvals: &'static str,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

impl ProjectObject {
    /// The object of a project.
    pub fn of(project: &Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name.clone(),
            description: project.description.clone(),
            tags: project.tags.clone(),
            instructions: project.instructions.clone(),
            approvals: project.approvals.as_str(),
            created_at: project.created_at.to_string(),
            updated_at: project.updated_at.to_string(),
        }
    }
}

/// A project with what belongs to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProjectView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Lower case, each once.
    pub tags: Vec<String>,
    /// What she is told in every turn of it.
    pub instructions: String,
    /// What she asks before: `outside` or `writes`.
    pub approvals: &'static str,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// Its repositories, in the order they were attached in, at most 200.
    pub attached_repos: Vec<RepoObject>,
    /// Its artifacts, the last changed first, at most 200, without contents.
    pub artifacts: Vec<ArtifactObject>,
}

impl ProjectView {
    /// The object of a project, its repositories and its artifacts.
    pub fn of(project: &Project, repos: &[Repo], artifacts: &[Artifact]) -> Self {
        let ProjectObject {
            id,
            name,
            description,
            tags,
            instructions,
            approvals,
            created_at,
            updated_at,
        } = ProjectObject::of(project);
        Self {
            id,
            name,
            description,
            tags,
            instructions,
            approvals,
            created_at,
            updated_at,
            attached_repos: repos.iter().map(RepoObject::of).collect(),
            artifacts: artifacts.iter().map(ArtifactObject::of).collect(),
        }
    }
}

/// What goes when a project is deleted, and what leaves it and stays.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ProjectDeletion)]
pub struct DeletionObject {
    /// Artifacts that go.
    pub artifacts: u64,
    /// Versions of them, all told.
    pub versions: u64,
    /// Sessions that leave the project and stay, with what was said in them.
    pub sessions: u64,
    /// Attached repositories whose clones go.
    pub repos: u64,
    /// Files that go.
    pub files: u64,
    /// Those of them with something in them that is nowhere else; nothing is deleted then without `force`. Empty in the
    /// answer of a DELETE.
    pub unpublished: Vec<UnpublishedObject>,
}

impl DeletionObject {
    /// The object of a deletion, and of what would be lost with it.
    pub fn of(counts: ProjectDeletion, unsaved: &[Unsaved]) -> Self {
        let ProjectDeletion {
            artifacts,
            versions,
            sessions,
            repos,
            files,
        } = counts;
        Self {
            artifacts,
            versions,
            sessions,
            repos,
            files,
            unpublished: unsaved.iter().map(UnpublishedObject::of).collect(),
        }
    }
}

/// An artifact, shown as its newest version.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Artifact)]
pub struct ArtifactObject {
    /// Its id.
    pub id: String,
    /// The project it belongs to.
    pub project_id: String,
    /// Its name, for showing only.
    pub name: String,
    /// `code`, `markdown`, `html`, `svg`, `note`, `image`, `log` or `json`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The language of code.
    pub language: Option<String>,
    /// Its text, or a picture as a data URL. Null in lists, and in events where it is larger than 32 KiB.
    pub content: Option<String>,
    /// The newest version's number, from 1.
    pub version: u32,
    /// How many bytes that has (a picture: its own, not those of the data URL).
    pub size: u64,
    /// SHA-256 of those bytes, in hex.
    pub sha256: String,
    /// The tag to name in `If-Match`.
    pub etag: String,
    /// Who made the newest version: `owner` or `mira`.
    pub author: &'static str,
    /// The message that made it; null where the owner did by hand.
    pub message_id: Option<String>,
    /// When the artifact was made.
    pub created_at: String,
    /// When it last changed, its name too.
    pub updated_at: String,
}

impl ArtifactObject {
    /// The object of an artifact, with the content it came with.
    pub fn of(artifact: &Artifact) -> Self {
        Self::with(artifact, true)
    }

    /// As every socket hears of it.
    pub fn in_event(artifact: &Artifact) -> Self {
        Self::with(artifact, artifact.size <= MAX_EVENT_BYTES)
    }

    fn with(artifact: &Artifact, content: bool) -> Self {
        let shown = artifact.content.as_ref().filter(|_| content);
        Self {
            id: artifact.id.to_string(),
            project_id: artifact.project_id.to_string(),
            name: artifact.name.clone(),
            kind: artifact.kind.as_str(),
            language: artifact.language.clone(),
            content: shown.map(|content| content_text(content).into_owned()),
            version: artifact.version,
            size: artifact.size,
            sha256: hex(&artifact.sha256),
            etag: etag(artifact),
            author: artifact.author.as_str(),
            message_id: artifact.message_id.map(|id| id.to_string()),
            created_at: artifact.created_at.to_string(),
            updated_at: artifact.updated_at.to_string(),
        }
    }
}

/// What an artifact's representation is known by: its version, and a hash of content, name and language.
pub fn etag(artifact: &Artifact) -> String {
    let mut hash = Sha256::new();
    hash.update(artifact.sha256);
    hash.update(artifact.name.as_bytes());
    hash.update([0]);
    hash.update(artifact.language.as_deref().unwrap_or_default().as_bytes());
    let hash: String = hex(&hash.finalize().into()).chars().take(16).collect();
    format!("\"{}-{hash}\"", artifact.version)
}

/// One version of an artifact.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ArtifactVersion)]
pub struct VersionObject {
    /// The artifact.
    pub artifact_id: String,
    /// Its number, from 1.
    pub version: u32,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// How many bytes it has.
    pub size: u64,
    /// Who made it: `owner` or `mira`.
    pub author: &'static str,
    /// The message that made it; null where the owner did by hand.
    pub message_id: Option<String>,
    /// Its text, or a picture as a data URL. Null in lists.
    pub content: Option<String>,
    /// When it was made.
    pub created_at: String,
}

impl VersionObject {
    /// The object of a version.
    pub fn of(version: &ArtifactVersion) -> Self {
        Self {
            artifact_id: version.artifact_id.to_string(),
            version: version.version,
            sha256: hex(&version.sha256),
            size: version.size,
            author: version.author.as_str(),
            message_id: version.message_id.map(|id| id.to_string()),
            content: version
                .content
                .as_ref()
                .map(|content| content_text(content).into_owned()),
            created_at: version.created_at.to_string(),
        }
    }
}

/// What changed between two versions.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ArtifactDiff)]
pub struct DiffObject {
    /// The artifact.
    pub artifact_id: String,
    /// The old version.
    pub from: u32,
    /// The new version.
    pub to: u32,
    /// A picture has no lines: then there are no hunks.
    pub binary: bool,
    /// Lines added, all told.
    pub added: u64,
    /// Lines removed, all told.
    pub removed: u64,
    /// The texts are so large or so different that the diff is right, but not the shortest.
    pub coarse: bool,
    /// The diff is so large that only its beginning is told.
    pub truncated: bool,
    /// The changes, in their order.
    pub hunks: Vec<HunkObject>,
    /// The same as text that `patch` takes.
    pub unified: String,
}

impl DiffObject {
    /// The object of a diff between two versions; `None` where they have no lines.
    pub fn of(artifact_id: String, (from, to): (u32, u32), diff: Option<(Diff, String)>) -> Self {
        let binary = diff.is_none();
        let (diff, unified) = diff.unwrap_or_default();
        Self {
            artifact_id,
            from,
            to,
            binary,
            added: diff.added,
            removed: diff.removed,
            coarse: diff.coarse,
            truncated: diff.truncated,
            hunks: diff.hunks.into_iter().map(HunkObject::from).collect(),
            unified,
        }
    }
}
