//! `GET, POST /management/api/v1/clients`, `GET, PATCH, DELETE` of one of them, `POST` to its
//! `secrets`, and `DELETE` of one of those.

use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::super::Request;
use super::super::refusal::Refusal;
use super::{ListQuery, check_change, json, no_content, path, read};
use crate::actors::management::Management;
use crate::actors::management::administration::ClientPatch;
use crate::domain::client::policy::{ClientPolicy, Introspection, Sessions};
use crate::domain::client::{ClientId, ClientRegistration, ClientType, GrantType};
use crate::domain::error::RecordError;
use crate::domain::scope::{self, Scope};
use crate::http::wire::client::{ClientPatchRequest, ClientRecord, NewClientRequest, SecretRecord};
use crate::http::wire::list::ListResponse;

/// Answers what is asked of the clients, or of the one that `rest` names.
pub(super) async fn answer<S, B>(
    management: &Management,
    request: &Request,
    rest: &[&str],
    body: S,
) -> Result<Response, Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    match (rest, &request.method) {
        ([], &Method::GET) => list(management, &ListQuery::parse(&request.query)?).await,
        ([], &Method::POST) => add(management, read(request, body).await?).await,
        ([], _) => Err(Refusal::method_not_allowed("GET, HEAD, POST")),
        ([id], &Method::GET) => {
            let client = management.client(path::client_id(id)).await?;
            Ok(json(StatusCode::OK, &ClientRecord::from(&client)))
        }
        ([id], &Method::PATCH) => {
            let id = path::client_id(id);
            change(management, id, read(request, body).await?).await
        }
        ([id], &Method::DELETE) => {
            check_change(request)?;
            management.delete_client(path::client_id(id)).await?;
            Ok(no_content())
        }
        ([_], _) => Err(Refusal::method_not_allowed("GET, HEAD, PATCH, DELETE")),
        ([id, "secrets"], &Method::POST) => {
            check_change(request)?;
            rotate_secret(management, path::client_id(id)).await
        }
        ([_, "secrets"], _) => Err(Refusal::method_not_allowed("POST")),
        ([id, "secrets", secret], &Method::DELETE) => {
            check_change(request)?;
            let (id, secret) = (path::client_id(id), path::record_id(secret)?);
            management.delete_secret(id, secret).await?;
            Ok(no_content())
        }
        ([_, "secrets", _], _) => Err(Refusal::method_not_allowed("DELETE")),
        _ => Err(Refusal::not_found()),
    }
}

async fn change(
    management: &Management,
    id: ClientId,
    request: ClientPatchRequest,
) -> Result<Response, Refusal> {
    let patch = ClientPatch {
        is_disabled: request.disabled,
    };
    let client = management.change_client(id, patch).await?;
    Ok(json(StatusCode::OK, &ClientRecord::from(&client)))
}

async fn rotate_secret(management: &Management, id: ClientId) -> Result<Response, Refusal> {
    let (stored, secret) = management.rotate_secret(id).await?;
    let record = SecretRecord {
        client_secret: Some(secret.expose().to_owned()),
        ..SecretRecord::from(&stored)
    };
    Ok(json(StatusCode::CREATED, &record))
}

async fn list(management: &Management, query: &ListQuery) -> Result<Response, Refusal> {
    let after = query.after.as_deref().map(ClientId::new);
    let page = management.list_clients(after, query.limit).await?;
    let last = page.items.last().filter(|_| page.has_more);
    let response = ListResponse {
        next: last.map(|client| client.id.to_string()),
        items: page.items.iter().map(ClientRecord::from).collect(),
    };
    Ok(json(StatusCode::OK, &response))
}

async fn add(management: &Management, request: NewClientRequest) -> Result<Response, Refusal> {
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
    let text = tokens.join(" ");
    if text.len() > scope::MAX_LENGTH {
        return Err(RecordError::ScopeTooLong);
    }
    Scope::parse(&text).map_err(|_malformed| RecordError::Scope)
}
