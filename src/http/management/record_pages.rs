//! `GET, POST /management/users/{id}` and `/management/clients/{id}`: one user or client, and what
//! can be done to it. As in the console, a form that did what it should is answered with 303, but for
//! a new secret, which is shown in the answer itself. What cannot be undone asks for a ticked box.

use bytes::Buf;
use futures_util::Stream;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::console::{back_to, check_confirmed, read_form};
use super::refusal::Refusal;
use super::{Console, Request};
use crate::actors::management::administration::{ClientPatch, UserPatch};
use crate::domain::client::ClientId;
use crate::domain::client_secret::SecretId;
use crate::domain::standing::SessionsOf;
use crate::domain::user::{Password, UserId};
use crate::http::extract::form::Form;
use crate::http::pages::view::{ClientPage, RequestView, UserPage};
use crate::http::wire::client::ClientRecord;
use crate::http::wire::user::UserRecord;

/// What a page is about.
enum Record {
    User(UserId),
    Client(ClientId),
}

/// What a form asked for and got.
enum Done {
    /// The record is there still.
    Changed,
    Deleted,
    WithSecret(String),
}

/// Answers a request of the console user `user`.
pub(super) async fn answer<S, B>(
    console: &Console,
    request: &Request,
    user: &str,
    body: S,
) -> Result<Response, Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    // The token of a form comes before all else.
    let form = match request.method {
        Method::POST => Some(read_form(console, request, user, body).await?),
        _ => None,
    };
    let record = Record::parse(&request.below)?;
    match (form, &request.method) {
        (None, &Method::GET) => console.show_record(&record, user, "", String::new()).await,
        (Some(form), _) => {
            let done = match &record {
                Record::User(id) => console.act_on_user(*id, &form).await,
                Record::Client(id) => console.act_on_client(id, &form).await,
            };
            console.tell(&record, user, done).await
        }
        (None, _) => Err(Refusal::method_not_allowed("GET, HEAD, POST")),
    }
}

impl Record {
    fn parse(below: &str) -> Result<Self, Refusal> {
        let (kind, segment) = below.split_once('/').ok_or_else(Refusal::not_found)?;
        if segment.is_empty() || segment.contains('/') {
            return Err(Refusal::not_found());
        }
        let text = percent_decode_str(segment).decode_utf8();
        let text = text.map_err(|_no_text| Refusal::not_found())?;
        match kind {
            "users" => {
                let id = UserId::parse(&text).ok_or_else(Refusal::not_found)?;
                Ok(Self::User(id))
            }
            "clients" => Ok(Self::Client(ClientId::new(text))),
            _ => Err(Refusal::not_found()),
        }
    }
}

impl Console {
    /// The path of a client's page. Its identifier may be any text.
    pub(super) fn client_path(&self, id: &ClientId) -> String {
        let id = utf8_percent_encode(id.as_str(), NON_ALPHANUMERIC);
        format!("{}/clients/{id}", self.path)
    }

    fn record_path(&self, record: &Record) -> String {
        match record {
            Record::User(id) => format!("{}/users/{id}", self.path),
            Record::Client(id) => self.client_path(id),
        }
    }

    async fn act_on_user(&self, id: UserId, form: &Form) -> Result<Done, Refusal> {
        let management = &self.management;
        let set_disabled = |is_disabled| UserPatch {
            is_disabled: Some(is_disabled),
            ..UserPatch::default()
        };
        let patch = match form.get("submit") {
            Some("Disable") => set_disabled(true),
            Some("Enable") => set_disabled(false),
            Some("Set Password") => {
                let password = form.get("password").unwrap_or_default();
                UserPatch {
                    password: Some(Password::new(password.to_owned())),
                    ..UserPatch::default()
                }
            }
            Some("End Sessions") => {
                management.sign_out(SessionsOf::User(id)).await?;
                return Ok(Done::Changed);
            }
            Some("Delete") => {
                check_confirmed(form)?;
                management.delete_user(id).await?;
                return Ok(Done::Deleted);
            }
            _ => return Err(unknown()),
        };
        management.change_user(id, patch).await?;
        Ok(Done::Changed)
    }

    async fn act_on_client(&self, id: &ClientId, form: &Form) -> Result<Done, Refusal> {
        let management = &self.management;
        let id = id.clone();
        match form.get("submit") {
            Some(action @ ("Disable" | "Enable")) => {
                let is_disabled = Some(action == "Disable");
                let patch = ClientPatch { is_disabled };
                management.change_client(id, patch).await?;
            }
            Some("Rotate Secret") => {
                let (_, secret) = management.rotate_secret(id).await?;
                return Ok(Done::WithSecret(secret.expose().to_owned()));
            }
            Some("Delete Secret") => {
                check_confirmed(form)?;
                let secret = form.get("secret_id").and_then(SecretId::parse);
                let secret = secret.ok_or_else(Refusal::not_found)?;
                management.delete_secret(id, secret).await?;
            }
            Some("End Sessions") => management.sign_out(SessionsOf::Client(id)).await?,
            Some("Delete") => {
                check_confirmed(form)?;
                management.delete_client(id).await?;
                return Ok(Done::Deleted);
            }
            _ => return Err(unknown()),
        }
        Ok(Done::Changed)
    }

    async fn tell(
        &self,
        record: &Record,
        user: &str,
        done: Result<Done, Refusal>,
    ) -> Result<Response, Refusal> {
        match done {
            Ok(Done::Changed) => Ok(back_to(&self.record_path(record))),
            Ok(Done::Deleted) => Ok(back_to(&self.path)),
            Ok(Done::WithSecret(secret)) => self.show_record(record, user, "", secret).await,
            Err(refusal) if refusal.is_about_record() => {
                let shown = self.show_record(record, user, refusal.detail(), String::new());
                let mut response = shown.await?;
                // A page that could not be filled stays a 500.
                if response.status() == StatusCode::OK {
                    *response.status_mut() = refusal.status();
                }
                Ok(response)
            }
            Err(refusal) => Err(refusal),
        }
    }

    async fn show_record(
        &self,
        record: &Record,
        user: &str,
        message: &'static str,
        new_secret: String,
    ) -> Result<Response, Refusal> {
        let request = RequestView {
            path: self.record_path(record),
        };
        let console = self.path.clone();
        let csrf_token = self.management.csrf_token(user);
        match record {
            Record::User(id) => {
                let page = UserPage {
                    request,
                    console,
                    message,
                    user: UserRecord::from(&self.management.user(*id).await?),
                    csrf_token,
                };
                Ok(self.pages.render("user", &page))
            }
            Record::Client(id) => {
                let page = ClientPage {
                    request,
                    console,
                    message,
                    client: ClientRecord::from(&self.management.client(id.clone()).await?),
                    new_secret,
                    csrf_token,
                };
                Ok(self.pages.render("client", &page))
            }
        }
    }
}

fn unknown() -> Refusal {
    Refusal::invalid("The form asks for nothing that is known here.")
}
