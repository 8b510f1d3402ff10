//! A session into a container, run by the system's own
//! `session-manager-plugin`, as the AWS CLI does it. The plugin is made for a
//! terminal and gets none: its input is a pipe that stays open and empty, its
//! output another that is read as far as it goes, and it ends with us.
//!
//! The token of the session opens a shell in the container for whoever has it.
//! It goes to the plugin by its environment, which only the same user can read,
//! and nowhere else. Plugins up to 1.2.497.0 know it on their command line
//! only, where everybody on the machine can see it: those are not used.
//! Sources: "Session Manager plugin latest version and release history", and
//! the AWS CLI's own use of it for `ecs execute-command`.

use super::transport::{Output, Talk, Trouble};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The program.
pub const PLUGIN: &str = "session-manager-plugin";
/// Environment variable that holds the session; its name stands for it among
/// the arguments.
const VARIABLE: &str = "AWS_SSM_START_SESSION_RESPONSE";
/// The last plugin that cannot take it from there.
const TOO_OLD: [u64; 4] = [1, 2, 497, 0];
/// Output of a session beyond this is not read.
const OUTPUT: usize = 512 * 1024;
/// How long the plugin may take to say which it is.
const VERSION: Duration = Duration::from_secs(5);

/// A session as the API gave it. Never shown: not in errors, logs or the journal.
pub struct Session {
    pub id: String,
    pub stream_url: String,
    pub token: String,
    pub region: String,
    /// Empty when none was given.
    pub profile: String,
    /// `ecs:CLUSTER_TASK_RUNTIME`.
    pub target: String,
    /// Of Systems Manager, for a session that must be taken up again.
    pub endpoint: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("target", &self.target).finish_non_exhaustive()
    }
}

/// The plugin, where the path of programs leads to one.
pub fn found() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(PLUGIN))
        .find(|p| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
}

fn start(plugin: &Path, args: &[&str], session: Option<&str>) -> Result<Child, Trouble> {
    let mut command = Command::new(plugin);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: it ends with everything it started.
    command.process_group(0);
    if let Some(session) = session {
        command.env(VARIABLE, session);
    }
    command.spawn().map_err(|e| Trouble::Failed(format!("cannot run {PLUGIN}: {e}")))
}

/// Can this plugin be handed a session without showing it to the machine? The
/// error is one line.
pub fn usable(plugin: &Path) -> Result<(), Trouble> {
    let script = Some(String::new());
    let talk =
        Talk { program: PLUGIN, mark: "", limit: VERSION, script, most: 4096, until: None, secret: &[] };
    let said = talk.with(start(plugin, &["--version"], None)?)?;
    let text = String::from_utf8_lossy(&said.bytes).into_owned();
    let version: Vec<u64> = text.trim().split('.').map_while(|p| p.parse().ok()).collect();
    if version.as_slice() > TOO_OLD.as_slice() {
        return Ok(());
    }
    let which = if version.is_empty() { "of unknown version".to_owned() } else { text.trim().to_owned() };
    let which = crate::text::SafeText::capped(which, 40);
    Err(Trouble::Failed(format!(
        "{PLUGIN} {which} would show the session's token in the list of processes; update it (newer than 1.2.497.0 is needed)"
    )))
}

/// Runs the session until the line that was given to it has run, all of it
/// within `limit`. Blocks; belongs in a thread of its own.
pub fn run(plugin: &Path, session: &Session, mark: &str, limit: Duration) -> Result<Output, Trouble> {
    let handed = serde_json::json!({
        "SessionId": session.id,
        "StreamUrl": session.stream_url,
        "TokenValue": session.token,
    });
    let request = serde_json::json!({ "Target": session.target }).to_string();
    let args = [VARIABLE, &session.region, "StartSession", &session.profile, &request, &session.endpoint];
    let child = start(plugin, &args, Some(&handed.to_string()))?;
    let end = format!("{mark} end");
    let secret = [session.token.as_str()];
    let talk =
        Talk { program: PLUGIN, mark, limit, script: None, most: OUTPUT, until: Some(&end), secret: &secret };
    talk.with(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_never_shows_its_token() {
        let s = Session {
            id: "ecs-1".into(),
            stream_url: "wss://stream/x".into(),
            token: "TOP".into(),
            region: "r".into(),
            profile: String::new(),
            target: "ecs:c_t_r".into(),
            endpoint: "https://x".into(),
        };
        let shown = format!("{s:?}");
        assert!(shown.contains("ecs:c_t_r") && !shown.contains("TOP") && !shown.contains("wss"), "{shown}");
    }
}
