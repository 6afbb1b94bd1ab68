//! The `oauth2` crate. It knows no metadata: the endpoints are told to it.

use std::error::Error;
use std::fmt::Debug;

use oauth2::basic::{
    BasicClient, BasicErrorResponseType, BasicRequestTokenError, BasicTokenResponse,
};
use oauth2::http::Response;
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    IntrospectionUrl, RefreshToken, ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl,
    Scope, StandardRevocableToken, TokenIntrospectionResponse, TokenResponse, TokenUrl,
};
use reqwest::{Certificate, Client as Http};

use crate::bench::Bench;
use crate::support::app::USER;
use crate::support::process::install_tls;

type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;
type TokenAnswer<T> = Result<T, BasicRequestTokenError<reqwest::Error>>;

/// A client as a program has it.
struct Program {
    client: Client,
    http: Http,
    resource: String,
}

#[tokio::test]
async fn the_oauth2_crate_does_every_flow_it_knows() {
    let bench = Bench::start().await;
    let (id, secret) = &bench.confidential;
    let confidential = |auth_type| program(&bench, id, Some(secret), auth_type);
    for program in [
        program(&bench, &bench.app.client_id, None, AuthType::BasicAuth),
        confidential(AuthType::BasicAuth),
        confidential(AuthType::RequestBody),
    ] {
        password_refresh_and_revocation(&program).await;
    }
    for program in [AuthType::BasicAuth, AuthType::RequestBody].map(confidential) {
        client_credentials_and_introspection(&program).await;
    }
    let stranger = program(&bench, id, Some("wrong"), AuthType::BasicAuth);
    let refused = stranger.log_in(USER.1).await;
    assert_eq!(refusal(refused), BasicErrorResponseType::InvalidClient);
}

async fn password_refresh_and_revocation(program: &Program) {
    let refused = program.log_in("wrong").await;
    assert_eq!(refusal(refused), BasicErrorResponseType::InvalidGrant);
    let first = program.log_in(USER.1).await.unwrap();
    assert!(program.is_let_in(&first).await);
    let refresh = first.refresh_token().unwrap();
    let second = program.refresh(refresh, "read write").await.unwrap();
    assert!(program.is_let_in(&second).await && !program.is_let_in(&first).await);
    let refresh = second.refresh_token().unwrap();
    let narrower = program.refresh(refresh, "read").await.unwrap();
    assert_eq!(
        narrower.scopes(),
        Some(&vec![Scope::new("read".to_owned())])
    );
    let refresh = narrower.refresh_token().unwrap();
    let refused = program.refresh(refresh, "admin").await;
    assert_eq!(refusal(refused), BasicErrorResponseType::InvalidScope);
    program.revoke(narrower.access_token().clone().into()).await;
    assert!(!program.is_let_in(&narrower).await);
    let refused = program.refresh(refresh, "read").await;
    assert_eq!(refusal(refused), BasicErrorResponseType::InvalidGrant);
    let last = program.log_in(USER.1).await.unwrap();
    program
        .revoke(last.refresh_token().unwrap().clone().into())
        .await;
    assert!(!program.is_let_in(&last).await);
}

async fn client_credentials_and_introspection(program: &Program) {
    let http = |request| program.send(request);
    let request = program.client.exchange_client_credentials();
    let request = request.add_scope(Scope::new("write".to_owned()));
    let issued = request.request_async(&http).await.unwrap();
    assert!(issued.refresh_token().is_none() && program.is_let_in(&issued).await);
    let request = program.client.introspect(issued.access_token());
    let told = request.request_async(&http).await.unwrap();
    assert!(told.active() && told.username().is_none());
    assert_eq!(told.client_id(), Some(program.client.client_id()));
    let login = program.log_in(USER.1).await.unwrap();
    let request = program.client.introspect(login.access_token());
    let told = request.request_async(&http).await.unwrap();
    assert!(told.active() && told.exp().is_some());
    assert_eq!(told.username(), Some(USER.0));
    program.revoke(login.access_token().clone().into()).await;
    let request = program.client.introspect(login.access_token());
    assert!(!request.request_async(&http).await.unwrap().active());
}

impl Program {
    async fn log_in(&self, password: &str) -> TokenAnswer<BasicTokenResponse> {
        let username = ResourceOwnerUsername::new(USER.0.to_owned());
        let password = ResourceOwnerPassword::new(password.to_owned());
        let request = self.client.exchange_password(&username, &password);
        let scopes = ["read", "write"].map(|scope| Scope::new(scope.to_owned()));
        let request = request.add_scopes(scopes);
        request.request_async(&|request| self.send(request)).await
    }

    async fn refresh(&self, token: &RefreshToken, scope: &str) -> TokenAnswer<BasicTokenResponse> {
        let request = self.client.exchange_refresh_token(token);
        let request = request.add_scope(Scope::new(scope.to_owned()));
        request.request_async(&|request| self.send(request)).await
    }

    async fn revoke(&self, token: StandardRevocableToken) {
        let request = self.client.revoke_token(token).unwrap();
        let send = |request| self.send(request);
        request.request_async(&send).await.unwrap();
    }

    async fn is_let_in(&self, tokens: &BasicTokenResponse) -> bool {
        let token = tokens.access_token().secret();
        let request = self.http.get(&self.resource).bearer_auth(token);
        request.send().await.unwrap().status() == 200
    }

    // The crate brings no HTTP client of the version that this program has.
    fn send(
        &self,
        request: HttpRequest,
    ) -> impl Future<Output = Result<HttpResponse, reqwest::Error>> + use<> {
        let http = self.http.clone();
        async move {
            let answer = http.execute(request.try_into()?).await?;
            let mut response = Response::builder().status(answer.status());
            *response.headers_mut().unwrap() = answer.headers().clone();
            Ok(response.body(answer.bytes().await?.into()).unwrap())
        }
    }
}

fn program(bench: &Bench, id: &str, secret: Option<&str>, auth_type: AuthType) -> Program {
    let at = |path: &str| format!("{}/oauth/{path}", bench.app.url);
    let mut client = BasicClient::new(ClientId::new(id.to_owned()))
        .set_auth_type(auth_type)
        .set_token_uri(TokenUrl::new(at("token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(at("introspect")).unwrap())
        .set_revocation_url(RevocationUrl::new(at("revoke")).unwrap());
    if let Some(secret) = secret {
        client = client.set_client_secret(ClientSecret::new(secret.to_owned()));
    }
    install_tls();
    let authority = Certificate::from_pem(bench.certificates.authority.as_bytes()).unwrap();
    let http = Http::builder().tls_certs_only([authority]);
    Program {
        client,
        http: http.build().unwrap(),
        resource: format!("{}/endpoint", bench.app.url),
    }
}

#[track_caller]
fn refusal<T: Debug, E: Error>(
    answer: Result<T, BasicRequestTokenError<E>>,
) -> BasicErrorResponseType {
    match answer {
        Err(BasicRequestTokenError::ServerResponse(refusal)) => refusal.error().clone(),
        other => panic!("not refused by the server: {other:?}"),
    }
}
