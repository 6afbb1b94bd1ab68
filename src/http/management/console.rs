//! `GET, POST /management`: the console.
//!
//! A form that did what it should is answered with 303 to the console, so that a reload repeats
//! nothing. The one exception is a new confidential client: its secret is shown in the answer
//! itself, once, since no server keeps anything between two requests.

use bytes::Buf;
use futures_util::{Stream, future};
use warp::http::header::{HeaderValue, LOCATION};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use super::cursors::Cursors;
use super::refusal::Refusal;
use super::{Console, Request, origin};
use crate::domain::client::{Client, ClientRegistration, ClientType};
use crate::domain::standing::SessionsOf;
use crate::domain::user::Password;
use crate::http::error::no_store;
use crate::http::extract::body;
use crate::http::extract::form::Form;
use crate::http::pages::view::{ClientView, ManagementPage, NewClientView, RequestView};
use crate::http::wire::client::ClientRecord;
use crate::http::wire::user::UserRecord;

/// Users and clients on a page.
const PAGE_LENGTH: usize = 50;

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
    match request.method {
        Method::GET => {
            let cursors = Cursors::parse(&request.query)?;
            if let Some(username) = cursors.username.clone() {
                return console.find(user, username).await;
            }
            let page = console.page(user, cursors).await?;
            Ok(console.show(&page))
        }
        Method::POST => {
            let form = read_form(console, request, user, body).await?;
            console.submit(user, &form).await
        }
        _ => Err(Refusal::method_not_allowed("GET, HEAD, POST")),
    }
}

/// Reads a form of a page that the console user `user` was shown.
pub(super) async fn read_form<S, B>(
    console: &Console,
    request: &Request,
    user: &str,
    body: S,
) -> Result<Form, Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    origin::check(request)?;
    let body = body::read(&request.headers, body).await?;
    // It comes before whatever is wrong with the rest, so it is looked for in what may be no form.
    let mut pairs = form_urlencoded::parse(&body);
    let token = pairs.find(|(name, _)| name == "csrf_token");
    let token = token.map(|(_, value)| value).unwrap_or_default();
    if !console.management.is_csrf_token(&token, user) {
        return Err(Refusal::form_token());
    }
    Ok(Form::parse(&request.headers, &body)?)
}

/// Asks for the box that is to be ticked before something is destroyed.
pub(super) fn check_confirmed(form: &Form) -> Result<(), Refusal> {
    if form.get("confirm") == Some("yes") {
        return Ok(());
    }
    let detail = "Tick the box to confirm it. Nothing was changed.";
    Err(Refusal::invalid(detail))
}

/// What a form asked for and got.
enum Done {
    Silently,
    WithSecret(NewClientView),
}

impl Console {
    async fn submit(&self, user: &str, form: &Form) -> Result<Response, Refusal> {
        match self.act(form).await {
            Ok(Done::Silently) => Ok(back_to(&self.path)),
            Ok(Done::WithSecret(new_client)) => {
                // The client is made: its secret is shown even when the lists cannot be.
                let page = self.page(user, Cursors::default()).await;
                let without_lists = |refusal: Refusal| ManagementPage {
                    message: refusal.detail(),
                    ..self.bare_page(user)
                };
                Ok(self.show(&ManagementPage {
                    new_client: Some(new_client),
                    ..page.unwrap_or_else(without_lists)
                }))
            }
            Err(refusal) if refusal.is_about_record() => {
                let page = self.page(user, Cursors::default()).await?;
                let mut response = self.show(&ManagementPage {
                    message: refusal.detail(),
                    ..page
                });
                // A page that could not be filled stays a 500.
                if response.status() == StatusCode::OK {
                    *response.status_mut() = refusal.status();
                }
                Ok(response)
            }
            Err(refusal) => Err(refusal),
        }
    }

    async fn act(&self, form: &Form) -> Result<Done, Refusal> {
        let field = |name| form.get(name).unwrap_or_default().to_owned();
        match form.get("submit") {
            Some("Add User") => {
                let password = Password::new(field("password"));
                self.management
                    .add_user(field("username"), password)
                    .await?;
                Ok(Done::Silently)
            }
            Some("Add Client") => self.add_client(form).await,
            Some("Revoke Token") => {
                let missing = || Refusal::invalid("The token is missing.");
                let token = form.get("token").ok_or_else(missing)?;
                self.management.revoke(token.trim()).await?;
                Ok(Done::Silently)
            }
            Some("End All Sessions") => {
                check_confirmed(form)?;
                self.management.sign_out(SessionsOf::Everyone).await?;
                Ok(Done::Silently)
            }
            _ => Err(Refusal::invalid(
                "The form asks for nothing that is known here.",
            )),
        }
    }

    async fn add_client(&self, form: &Form) -> Result<Done, Refusal> {
        let client_type = form
            .get("client_type")
            .map_or(Some(ClientType::Public), ClientType::parse);
        let unknown = || Refusal::invalid("A client is public or confidential.");
        let registration = ClientRegistration {
            name: form.get("name").unwrap_or_default().to_owned(),
            ..ClientRegistration::new(client_type.ok_or_else(unknown)?)
        };
        let (client, secret) = self.management.add_client(registration).await?;
        Ok(secret.map_or(Done::Silently, |secret| {
            Done::WithSecret(NewClientView {
                client_id: client.id.to_string(),
                client_secret: secret.expose().to_owned(),
            })
        }))
    }

    // Leads to the page of the user of this name.
    async fn find(&self, user: &str, username: String) -> Result<Response, Refusal> {
        if let Some(found) = self.management.find_user(username).await? {
            return Ok(back_to(&format!("{}/users/{}", self.path, found.id)));
        }
        let page = ManagementPage {
            message: "There is no user of this name.",
            ..self.page(user, Cursors::default()).await?
        };
        Ok(self.show(&page))
    }

    fn show(&self, page: &ManagementPage) -> Response {
        self.pages.render("management", page)
    }

    async fn page(&self, user: &str, cursors: Cursors) -> Result<ManagementPage, Refusal> {
        let (users, clients) = future::try_join(
            self.management.list_users(cursors.users, PAGE_LENGTH),
            self.management
                .list_clients(cursors.clients.clone(), PAGE_LENGTH),
        )
        .await?;
        Ok(ManagementPage {
            users_next: cursors.next_users(&users),
            users_first: cursors.first_users(),
            users_total: users.total,
            users: users
                .items
                .iter()
                .map(|user| UserRecord::from(user).into())
                .collect(),
            clients_next: cursors.next_clients(&clients),
            clients_first: cursors.first_clients(),
            clients_total: clients.total,
            clients: clients
                .items
                .iter()
                .map(|client| self.row(client))
                .collect(),
            ..self.bare_page(user)
        })
    }

    fn row(&self, client: &Client) -> ClientView {
        ClientView {
            link: self.client_path(&client.id),
            record: ClientRecord::from(client),
        }
    }

    fn bare_page(&self, user: &str) -> ManagementPage {
        let actors = self.management.actors();
        ManagementPage {
            request: RequestView {
                path: self.path.clone(),
            },
            actors: actors.into_iter().map(Into::into).collect(),
            csrf_token: self.management.csrf_token(user),
            ..ManagementPage::default()
        }
    }
}

/// 303: "a separate response … for the original request" (RFC 9110 §15.4.4)
pub(super) fn back_to(path: &str) -> Response {
    let mut response = no_store(StatusCode::SEE_OTHER.into_response());
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}
