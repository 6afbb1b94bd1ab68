//! The management API as its client sees it: users, clients and tokens over HTTP.

pub(super) mod error;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustls::crypto::ring;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::connection::Connection;
use super::connection::address::Address;
use super::connection::credentials::Credentials;
use super::connection::trust::Trust;
use super::output;
use crate::http::wire::list::ListResponse;
use error::ApiError;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The server's own deadlines are shorter; this one is for a network that swallows the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The management API of one server.
pub(super) struct ManagementApi {
    client: Client,
    console: Url,
    credentials: Credentials,
}

impl ManagementApi {
    /// Prepares to ask; reaches nothing yet.
    ///
    /// # Errors
    /// [`ApiError::Client`].
    pub(super) fn new(connection: Connection) -> Result<Self, ApiError> {
        let Connection {
            address,
            credentials,
            trust,
        } = connection;
        let client = client(&address, trust)
            .map_err(|error| ApiError::of_transport(address.url.clone(), &error))?;
        Ok(Self {
            client,
            console: address.url,
            credentials,
        })
    }

    /// All records of a kind, such as `users`, page after page.
    ///
    /// # Errors
    /// Each [`ApiError`].
    pub(super) async fn list<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, ApiError> {
        let mut records = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut url = self.url(kind);
            if let Some(after) = &after {
                url.query_pairs_mut().append_pair("after", after);
            }
            let request = self.client.request(Method::GET, url.clone());
            let page: ListResponse<T> = self.ask(url, request).await?;
            records.extend(page.items);
            match page.next {
                None => return Ok(records),
                // A cursor that does not move would never end.
                next if next == after => {
                    let (url, status) = (self.url(kind), StatusCode::OK);
                    return Err(ApiError::NotTheApi { url, status });
                }
                next => after = next,
            }
        }
    }

    /// Makes a record of a kind, such as `users`; answers it.
    ///
    /// # Errors
    /// Each [`ApiError`].
    pub(super) async fn add<T: DeserializeOwned>(
        &self,
        kind: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.add_at(&[kind], body).await
    }

    /// Makes a record at a path, such as a secret of a client; answers it.
    ///
    /// # Errors
    /// Each [`ApiError`].
    pub(super) async fn add_at<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let url = self.at(path);
        let request = self.client.request(Method::POST, url.clone()).json(body);
        self.ask(url, request).await
    }

    /// Asks for something that has no answer, such as `tokens/revoke`.
    ///
    /// # Errors
    /// Each [`ApiError`].
    pub(super) async fn order(&self, what: &str, body: &impl Serialize) -> Result<(), ApiError> {
        let url = self.url(what);
        let request = self.client.request(Method::POST, url.clone()).json(body);
        self.send(url, request).await.map(drop)
    }

    /// The records of a kind that a query names, such as the user of a name: one page of them.
    ///
    /// # Errors
    /// Each [`ApiError`].
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        kind: &str,
        (name, value): (&str, &str),
    ) -> Result<Vec<T>, ApiError> {
        let mut url = self.url(kind);
        url.query_pairs_mut().append_pair(name, value);
        let request = self.client.request(Method::GET, url.clone());
        let page: ListResponse<T> = self.ask(url, request).await?;
        Ok(page.items)
    }

    /// Changes the record at a path, such as `users` and an identifier; answers it.
    ///
    /// # Errors
    /// Each [`ApiError`].
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let url = self.at(path);
        let request = self.client.request(Method::PATCH, url.clone()).json(body);
        self.ask(url, request).await
    }

    /// Deletes the record at a path.
    ///
    /// # Errors
    /// Each [`ApiError`].
    pub(super) async fn delete(&self, path: &[&str]) -> Result<(), ApiError> {
        let url = self.at(path);
        let request = self.client.request(Method::DELETE, url.clone());
        let request = request.header(CONTENT_TYPE, "application/json");
        self.send(url, request).await.map(drop)
    }

    // A client identifier may be any text, so each segment is encoded.
    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url("");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.console.clone();
        url.set_path(&format!("{}/api/v1/{path}", self.console.path()));
        url
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        url: Url,
        request: RequestBuilder,
    ) -> Result<T, ApiError> {
        let (status, body) = self.send(url.clone(), request).await?;
        serde_json::from_slice(&body).map_err(|_| ApiError::NotTheApi { url, status })
    }

    /// Sends a request; the answer is a success.
    async fn send(
        &self,
        url: Url,
        request: RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), ApiError> {
        let Credentials { username, password } = &self.credentials;
        let unanswered = |error: reqwest::Error| ApiError::of_transport(url.clone(), &error);
        let request = request.basic_auth(username, Some(password.expose()));
        let answer = request.send().await.map_err(unanswered)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unanswered)?;
        if status.is_success() {
            Ok((status, body.to_vec()))
        } else {
            Err(ApiError::of_answer(url, status, &body))
        }
    }
}

fn client(address: &Address, trust: Trust) -> reqwest::Result<Client> {
    // reqwest is built without a provider of its own; that another one is installed is as good.
    let _: Result<(), Arc<_>> = ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        // The console's password is for the server that was named.
        .redirect(Policy::none());
    if address.is_local() {
        builder = builder.no_proxy();
    }
    if let Some(socket) = &address.socket {
        builder = builder.unix_socket(socket.as_path());
    }
    let builder = match trust {
        Trust::System => builder,
        Trust::Only(certificates) => builder.tls_certs_only(certificates),
        Trust::Anyone => {
            output::complain(
                "sentinel: WARNING: --insecure: the server is not verified; anyone on the way \
                 can read and change what is sent, the console's password included",
            );
            builder.tls_danger_accept_invalid_certs(true)
        }
    };
    builder.build()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::settings::secret::Secret;

    /// Gives these answers, one a connection; returns the heads of the requests.
    async fn answer(listener: TcpListener, answers: &[&str]) -> Vec<String> {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            heads.push(String::from_utf8(head).unwrap());
            let length = answer.len();
            let text = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{answer}"
            );
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        heads
    }

    async fn listed(answers: &[&str]) -> (Result<Vec<u32>, ApiError>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let api = ManagementApi::new(Connection {
            address: Address {
                url: Url::parse(&format!("http://127.0.0.1:{port}/id/console")).unwrap(),
                socket: None,
            },
            credentials: Credentials {
                username: "admin".to_owned(),
                password: Secret::new("pass"),
            },
            trust: Trust::Only(Vec::new()),
        });
        let api = api.unwrap();
        tokio::join!(api.list("users"), answer(listener, answers))
    }

    #[tokio::test]
    async fn a_list_is_followed_to_its_end() {
        let first = r#"{"items":[1,2],"next":"a b&c"}"#;
        let (records, heads) = listed(&[first, r#"{"items":[3],"next":null}"#]).await;
        assert_eq!(records.unwrap(), [1, 2, 3]);
        assert!(
            heads[0].starts_with("GET /id/console/api/v1/users HTTP"),
            "{heads:?}"
        );
        assert!(heads[1].starts_with("GET /id/console/api/v1/users?after=a+b%26c HTTP"));
        for head in heads {
            // "admin:pass"
            assert!(
                head.contains("authorization: Basic YWRtaW46cGFzcw=="),
                "{head}"
            );
        }
    }

    #[tokio::test]
    async fn a_list_that_does_not_move_on_is_an_error() {
        let same = r#"{"items":[1],"next":"a"}"#;
        let (records, _) = listed(&[same, same]).await;
        assert!(matches!(records, Err(ApiError::NotTheApi { .. })));
    }
}
