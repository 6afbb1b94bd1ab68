//! A mongod of the test's own that refuses, breaks off or delays commands on demand.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};

use crate::support::app::{TestApp, spawn_app_with};
use crate::support::server::Server;
use crate::support::stores::start_mongod;

/// The commands that the server under test sends to collections.
pub(super) const ALL: &[&str] = &["find", "update", "delete", "insert", "findAndModify"];

/// Those that can be carried out without being confirmed.
pub(super) const WRITES: &[&str] = &["update", "delete", "insert", "findAndModify"];

/// What happens to a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It is refused with this code, and not carried out.
    Code(i32),
    /// Its connection ends, and it is not carried out.
    Closed,
    /// It is carried out, and answered with this error of the write concern.
    Unconfirmed(i32),
    /// It is carried out after this time.
    Late(Duration),
}

/// Which of the commands it happens to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// All but the first so many.
    AllAfter(i32),
    /// The first one to this collection.
    FirstTo(&'static str),
}

/// A mongod with a fail point, and a server under test on it.
pub(super) struct Faulty {
    pub(super) app: TestApp,
    control: Client,
    pub(super) mongod: Server,
}

impl Faulty {
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these settings of the server under test.
    pub(super) async fn start_with(settings: &[(&'static str, &str)]) -> Self {
        let mongod = start_mongod(&["--setParameter", "enableTestCommands=1"]).await;
        // The fail point is for those of this name: neither monitors nor `control` have it.
        let uri = format!("mongodb://{}/?appName=tested", mongod.address());
        let mut settings = settings.to_vec();
        settings.push(("SENTINEL_MONGO_URI", &uri));
        let app = spawn_app_with(&settings).await;
        let control = Client::with_uri_str(format!("mongodb://{}", mongod.address()))
            .await
            .unwrap();
        Self {
            app,
            control,
            mongod,
        }
    }

    /// Lets the fault happen to these commands.
    pub(super) async fn set(&self, fault: Fault, commands: &[&str], which: Which) {
        let mut data = doc! { "failCommands": commands, "appName": "tested" };
        data.extend(match fault {
            Fault::Code(code) => doc! { "errorCode": code },
            Fault::Closed => doc! { "closeConnection": true },
            Fault::Unconfirmed(code) => {
                doc! { "writeConcernError": { "code": code, "errmsg": "asked for by a test" } }
            }
            Fault::Late(delay) => {
                let millis = i64::try_from(delay.as_millis()).unwrap();
                doc! { "blockConnection": true, "blockTimeMS": millis }
            }
        });
        let mode = match which {
            Which::AllAfter(count) => doc! { "skip": count },
            Which::FirstTo(collection) => {
                data.insert("namespace", format!("{}.{collection}", self.app.database));
                doc! { "times": 1 }
            }
        };
        self.configure(doc! { "mode": mode, "data": data }).await;
    }

    /// Ends the fault.
    pub(super) async fn clear(&self) {
        self.configure(doc! { "mode": "off" }).await;
    }

    async fn configure(&self, how: Document) {
        let mut command = doc! { "configureFailPoint": "failCommand" };
        command.extend(how);
        let admin = self.control.database("admin");
        admin.run_command(command).await.unwrap();
    }

    /// Has what comes to the collections be noted in `system.profile`.
    pub(super) async fn profile(&self) {
        let profile = doc! { "profile": 2 };
        self.database().run_command(profile).await.unwrap();
    }

    /// The database of the server under test.
    pub(super) fn database(&self) -> Database {
        self.control.database(&self.app.database)
    }

    /// How many documents a collection has.
    pub(super) async fn count(&self, collection: &str) -> u64 {
        let collection = self.database().collection::<Document>(collection);
        collection.count_documents(doc! {}).await.unwrap()
    }
}
