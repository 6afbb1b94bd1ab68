use std::fs;
use std::os::unix::fs::PermissionsExt;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::{BindError, Listener};
use crate::server::transport::Socket;
use crate::settings::ListenAddress;

fn anywhere() -> ListenAddress {
    ListenAddress::Tcp("127.0.0.1:0".parse().unwrap())
}

#[tokio::test]
async fn port_zero_becomes_a_real_one_and_is_then_in_use() {
    let listener = Listener::bind(&anywhere()).await.unwrap();
    let address = listener.local_address().unwrap();
    assert_ne!(address, anywhere());
    let error = Listener::bind(&address).await.unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error}");
    let ListenAddress::Tcp(address) = address else {
        panic!("a TCP listener has a TCP address");
    };
    assert!(
        error.to_string().starts_with(&address.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_of_another_machine_is_refused_by_name() {
    let foreign = ListenAddress::Tcp("192.0.2.1:0".parse().unwrap());
    let error = Listener::bind(&foreign).await.unwrap_err();
    assert!(matches!(error, BindError::NotOurs(_)), "{error}");
}

#[tokio::test]
async fn a_unix_socket_is_for_owner_and_group_and_vanishes_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let address = ListenAddress::Unix(path.clone());
    let listener = Listener::bind(&address).await.unwrap();
    assert_eq!(listener.local_address().unwrap(), address);
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let (socket, peer) = listener.accept().await.unwrap();
    assert!(matches!(socket, Socket::Unix(_)));
    assert_eq!(peer, None);
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let address = ListenAddress::Unix(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let living = Listener::bind(&address).await.unwrap();
    let error = Listener::bind(&address).await.unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error}");
    assert!(UnixStream::connect(&path).await.is_ok());
    drop(living);
}

#[tokio::test]
async fn the_socket_of_a_successor_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let address = ListenAddress::Unix(path.clone());
    let first = Listener::bind(&address).await.unwrap();
    fs::rename(&path, folder.path().join("aside")).unwrap();
    let _second = Listener::bind(&address).await.unwrap();
    drop(first);
    assert!(UnixStream::connect(&path).await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_no_socket_and_a_missing_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = Listener::bind(&ListenAddress::Unix(path.clone())).await;
    assert!(matches!(error, Err(BindError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    let nowhere = ListenAddress::Unix(folder.path().join("none/socket"));
    let error = Listener::bind(&nowhere).await;
    assert!(matches!(error, Err(BindError::NoFolder(_))));
}
