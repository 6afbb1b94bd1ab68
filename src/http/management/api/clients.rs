//! `GET, POST /management/api/v1/clients`

use std::time::Duration;

use warp::http::StatusCode;
use warp::reply::Response;

use super::super::refusal::Refusal;
use super::{ListQuery, json};
use crate::actors::management::Management;
use crate::domain::client::policy::{ClientPolicy, Introspection, Sessions};
use crate::domain::client::{ClientId, ClientRegistration, ClientType, GrantType};
use crate::domain::error::RecordError;
use crate::domain::scope::Scope;
use crate::http::wire::client::{ClientRecord, NewClientRequest};
use crate::http::wire::list::ListResponse;

pub(super) async fn list(management: &Management, query: &ListQuery) -> Result<Response, Refusal> {
    let after = query.after.as_deref().map(ClientId::new);
    let page = management.list_clients(after, query.limit).await?;
    let last = page.items.last().filter(|_| page.has_more);
    let response = ListResponse {
        next: last.map(|client| client.id.to_string()),
        items: page.items.iter().map(ClientRecord::from).collect(),
    };
    Ok(json(StatusCode::OK, &response))
}

pub(super) async fn add(
    management: &Management,
    request: NewClientRequest,
) -> Result<Response, Refusal> {
    let (client, secret) = management.add_client(registration(request)?).await?;
    let record = ClientRecord {
        client_secret: secret.map(|secret| secret.expose().to_owned()),
        ..ClientRecord::from(&client)
    };
    Ok(json(StatusCode::CREATED, &record))
}

fn registration(request: NewClientRequest) -> Result<ClientRegistration, Refusal> {
    let unknown = || Refusal::invalid("A client is public or confidential.");
    let client_type = ClientType::parse(&request.client_type).ok_or_else(unknown)?;
    let policy = policy(&request)?;
    let mut registration = ClientRegistration {
        name: request.name.unwrap_or_default(),
        allowed_scope: scope(&request.scopes)?,
        default_scope: scope(&request.default_scopes)?,
        policy,
        ..ClientRegistration::new(client_type)
    };
    if let Some(names) = request.allowed_grant_types {
        registration.allowed_grant_types = grant_types(&names)?;
    }
    Ok(registration)
}

fn policy(request: &NewClientRequest) -> Result<ClientPolicy, Refusal> {
    let unlike = || Refusal::invalid("Sessions are single or many.");
    let sessions = named(request.sessions.as_deref(), Sessions::parse).ok_or_else(unlike)?;
    let unlike = || Refusal::invalid("Introspection is of own tokens or of any.");
    let introspection = request.introspection.as_deref();
    let introspection = named(introspection, Introspection::parse).ok_or_else(unlike)?;
    Ok(ClientPolicy {
        access_lifetime: request.access_token_lifetime.map(Duration::from_secs),
        refresh_lifetime: request.refresh_token_lifetime.map(Duration::from_secs),
        sessions,
        introspection,
    })
}

// The default where nothing is said; `None` for an unknown name.
fn named<T: Default>(name: Option<&str>, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    name.map_or_else(|| Some(T::default()), parse)
}

fn grant_types(names: &[String]) -> Result<Vec<GrantType>, RecordError> {
    let mut grant_types = Vec::new();
    for name in names {
        let grant_type = GrantType::parse(name).ok_or(RecordError::GrantType)?;
        if !grant_types.contains(&grant_type) {
            grant_types.push(grant_type);
        }
    }
    Ok(grant_types)
}

fn scope(tokens: &[String]) -> Result<Scope, RecordError> {
    Scope::parse(&tokens.join(" ")).map_err(|_malformed| RecordError::Scope)
}
