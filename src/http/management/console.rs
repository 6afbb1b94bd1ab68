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

use super::refusal::Refusal;
use super::{Console, Request, origin};
use crate::actors::user_registry::Page;
use crate::domain::client::{Client, ClientId, ClientRegistration, ClientType};
use crate::domain::user::{Password, User, UserId};
use crate::http::error::no_store;
use crate::http::extract::body;
use crate::http::extract::form::Form;
use crate::http::pages::view::{ManagementPage, NewClientView, RequestView};
use crate::http::wire::client::ClientRecord;
use crate::http::wire::user::UserRecord;

/// Users and clients on a page.
const PAGE_LENGTH: usize = 50;
/// The longest cursor we look up, in bytes.
const MAX_CURSOR_BYTES: usize = 256;

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
            let page = console.page(user, cursors).await?;
            Ok(console.show(&page))
        }
        Method::POST => {
            let form = read_form(request, body).await?;
            let token = form.get("csrf_token").unwrap_or_default();
            if !console.management.is_csrf_token(token, user) {
                return Err(Refusal::form_token());
            }
            console.submit(user, &form).await
        }
        _ => Err(Refusal::method_not_allowed("GET, HEAD, POST")),
    }
}

async fn read_form<S, B>(request: &Request, body: S) -> Result<Form, Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    origin::check(request)?;
    let body = body::read(&request.headers, body).await?;
    if body.is_empty() {
        // It has no token, and is refused for that.
        return Ok(Form::default());
    }
    Ok(Form::parse(&request.headers, &body)?)
}

/// What a form asked for and got.
enum Done {
    Silently,
    WithSecret(NewClientView),
}

impl Console {
    async fn submit(&self, user: &str, form: &Form) -> Result<Response, Refusal> {
        match self.act(form).await {
            Ok(Done::Silently) => Ok(self.back()),
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

    // 303: "a separate response … for the original request" (RFC 9110 §15.4.4)
    fn back(&self) -> Response {
        let mut response = no_store(StatusCode::SEE_OTHER.into_response());
        if let Ok(path) = HeaderValue::from_str(&self.path) {
            response.headers_mut().insert(LOCATION, path);
        }
        response
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
            clients: clients.items.iter().map(ClientRecord::from).collect(),
            ..self.bare_page(user)
        })
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

/// Where in both lists a page begins.
#[derive(Clone, Debug, Default)]
struct Cursors {
    users: Option<UserId>,
    clients: Option<ClientId>,
}

impl Cursors {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let bad = || Refusal::invalid("The place in the list cannot be read.");
        let query = Form::parse_pairs(query.as_bytes()).map_err(|_unreadable| bad())?;
        let users = query.get("users_after");
        let clients = query.get("clients_after");
        if clients.is_some_and(|id| id.len() > MAX_CURSOR_BYTES) {
            return Err(bad());
        }
        Ok(Self {
            users: users
                .map(|id| UserId::parse(id).ok_or_else(bad))
                .transpose()?,
            clients: clients.map(ClientId::new),
        })
    }

    fn next_users(&self, users: &Page<User>) -> String {
        let last = users.items.last().filter(|_| users.has_more);
        last.map(|last| {
            Self {
                users: Some(last.id),
                ..self.clone()
            }
            .query()
        })
        .unwrap_or_default()
    }

    fn next_clients(&self, clients: &Page<Client>) -> String {
        let last = clients.items.last().filter(|_| clients.has_more);
        last.map(|last| {
            Self {
                clients: Some(last.id.clone()),
                ..self.clone()
            }
            .query()
        })
        .unwrap_or_default()
    }

    fn first_users(&self) -> String {
        let is_later = self.users.is_some();
        if is_later {
            Self {
                users: None,
                ..self.clone()
            }
            .query()
        } else {
            String::new()
        }
    }

    fn first_clients(&self) -> String {
        let is_later = self.clients.is_some();
        if is_later {
            Self {
                clients: None,
                ..self.clone()
            }
            .query()
        } else {
            String::new()
        }
    }

    // A lone `?` is the first page of both.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        if let Some(users) = &self.users {
            query.append_pair("users_after", &users.to_string());
        }
        if let Some(clients) = &self.clients {
            query.append_pair("clients_after", clients.as_str());
        }
        query.finish()
    }
}
