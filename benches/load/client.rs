//! HTTP/1.1 over TLS, one keep-alive connection at a time.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;
use warp_sentinel::sentinel::dev;

use super::Outcome;
use super::dial;
use super::process::Process;

/// A connection to a server. Dropping it closes it.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Connection {
    /// Connects to `process` and trusts its certificate alone.
    ///
    /// # Errors
    /// What TCP, TLS or HTTP says.
    pub(crate) async fn open(process: &Process) -> Outcome<Self> {
        let config = dial::trusting(&process.certificate())?.with_no_client_auth();
        let name = ServerName::try_from("localhost")?;
        let stream = dial::tcp(process.address).await?;
        let stream = dial::tls(stream, name, Arc::new(config)).await?;
        let (sender, driver) = dial::http1(stream).await?;
        Ok(Self {
            sender,
            _driver: driver,
        })
    }

    /// Opens `count` connections.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(crate) async fn open_many(process: &Process, count: usize) -> Outcome<Vec<Self>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Self::open(process).await?);
        }
        Ok(connections)
    }

    /// `GET /oauth/verify`, answered with 204.
    ///
    /// # Errors
    /// Another answer, or none.
    pub(crate) async fn verify(&mut self, authorization: &str) -> Outcome<()> {
        let request = Request::get("/oauth/verify")
            .header(HOST, "localhost")
            .header(AUTHORIZATION, authorization)
            .body(Full::default())?;
        self.send(request, StatusCode::NO_CONTENT).await?;
        Ok(())
    }

    /// A password grant of `client_id`; its access token.
    ///
    /// # Errors
    /// Another answer than a token, or none.
    pub(crate) async fn grant(&mut self, client_id: &str) -> Outcome<String> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", client_id)
            .append_pair("username", dev::USERNAME)
            .append_pair("password", dev::PASSWORD)
            .finish();
        let request = Request::post("/oauth/token")
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into())?;
        let body = self.send(request, StatusCode::OK).await?;
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        let token = answer["access_token"].as_str();
        Ok(token.ok_or("an answer without a token")?.to_owned())
    }

    async fn send(&mut self, request: Request<Full<Bytes>>, wanted: StatusCode) -> Outcome<Bytes> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status == wanted {
            Ok(body)
        } else {
            Err(format!("the server answered {status} in place of {wanted}").into())
        }
    }
}
