//! The threads of a server.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::actors::password_pool;
use crate::server::turns::{self, Turns};

/// A runtime whose worker threads have short turns while passwords are hashed, where the system lets
/// them ask for that: each from the second time on that it wakes. A program that has its own runtime
/// needs none.
///
/// # Errors
/// When the system refuses a thread.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(|| ask_for(Turns::Usual))
        .on_thread_unpark(follow_the_hashes)
        .build()
}

fn follow_the_hashes() {
    ask_for(if password_pool::is_hashing() {
        Turns::Short
    } else {
        Turns::Usual
    });
}

fn ask_for(turns: Turns) {
    if let Err(error) = turns::ask_for(turns) {
        tracing::debug!(error = %error, "a thread cannot have turns of the length it wants");
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::actors::password_pool::fair_queue::Requester;
    use crate::actors::password_pool::{PasswordPolicy, PasswordPool};
    use crate::actors::supervisor::Tree;
    use crate::actors::supervisor::picture::Picture;
    use crate::domain::user::Password;
    use crate::server::turns::tests::{own, short};

    /// The turns of what the runtime runs after a pause.
    async fn turns() -> Duration {
        #[expect(clippy::disallowed_methods, reason = "the task is awaited at once")]
        let task = tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            own()
        });
        task.await.unwrap()
    }

    #[test]
    fn its_threads_have_short_turns_while_a_password_is_hashed() {
        let Some(short) = short() else {
            return;
        };
        let usual = own();
        let policy = PasswordPolicy {
            cost: 14,
            queue: 1,
            workers: 1,
            lanes: 1,
        };
        runtime().unwrap().block_on(async {
            let (passwords, child) = PasswordPool::new(policy).unwrap();
            let _tree = Tree::start(vec![child], Picture::default()).await.unwrap();
            let requester = Requester::administrator();
            let hash = passwords.hash(Password::new("long to hash".to_owned()), &requester);
            tokio::select! {
                () = async { while turns().await != short {} } => {}
                _ = hash => panic!("the turns were of the usual length"),
            }
            // Nobody waits for the hash, so it ends. Other tests may hash passwords as well.
            let is_usual = async { while turns().await != usual {} };
            let ended = tokio::time::timeout(Duration::from_mins(1), is_usual).await;
            ended.expect("the turns stayed short");
        });
    }
}
