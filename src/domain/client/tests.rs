use super::*;

fn client(client_type: ClientType, secrets: &[[u8; 32]]) -> Client {
    Client {
        id: ClientId::new("c"),
        client_type,
        name: String::new(),
        allowed_grant_types: vec![GrantType::Password],
        allowed_scope: Scope::parse("read write").unwrap(),
        default_scope: Scope::parse("read").unwrap(),
        policy: ClientPolicy::default(),
        secrets: secrets
            .iter()
            .enumerate()
            .map(|(place, hash)| {
                let hash = SecretHash(*hash);
                StoredSecret::of_list(hash, place, OffsetDateTime::UNIX_EPOCH)
            })
            .collect(),
        is_disabled: false,
        sessions_ended: 0,
        created_at: OffsetDateTime::UNIX_EPOCH,
    }
}

#[test]
fn a_confidential_client_needs_one_of_its_secrets() {
    let client = client(ClientType::Confidential, &[[1; 32], [2; 32]]);
    let used = client.authenticate(Some(&SecretHash([2; 32])));
    assert_eq!(used, Ok(Some(client.secrets[1].id)));
    assert!(client.authenticate(Some(&SecretHash([3; 32]))).is_err());
    assert!(client.authenticate(None).is_err());
}

#[test]
fn a_public_client_that_sends_a_secret_is_refused() {
    let client = client(ClientType::Public, &[]);
    assert!(client.authenticate(None).is_ok());
    assert!(client.authenticate(Some(&SecretHash([1; 32]))).is_err());
}

#[test]
fn a_disabled_client_is_refused() {
    let client = Client {
        is_disabled: true,
        ..client(ClientType::Public, &[])
    };
    assert_eq!(client.authenticate(None), Err(GrantError::InvalidClient));
}

#[test]
fn scope_is_defaulted_narrowed_or_refused() {
    let client = client(ClientType::Public, &[]);
    assert_eq!(
        client.grant_scope(&Scope::default()).unwrap().to_string(),
        "read"
    );
    let write = Scope::parse("write").unwrap();
    assert_eq!(client.grant_scope(&write).unwrap(), write);
    let wide = Scope::parse("read admin").unwrap();
    assert_eq!(client.grant_scope(&wide), Err(GrantError::InvalidScope));
}

#[test]
fn a_grant_type_outside_the_registration_is_unauthorized() {
    let client = client(ClientType::Public, &[]);
    assert!(client.check_grant_type(GrantType::Password).is_ok());
    let refused = client.check_grant_type(GrantType::RefreshToken);
    assert_eq!(refused, Err(GrantError::UnauthorizedClient));
}

#[test]
fn a_public_client_never_asks_for_itself() {
    let mut registration = ClientRegistration::new(ClientType::Public);
    registration.allowed_grant_types = vec![GrantType::ClientCredentials];
    assert_eq!(registration.check(), Err(RecordError::GrantType));
    let mut client = client(ClientType::Public, &[]);
    client.allowed_grant_types = vec![GrantType::ClientCredentials];
    let refused = client.check_grant_type(GrantType::ClientCredentials);
    assert_eq!(refused, Err(GrantError::UnauthorizedClient));
}
