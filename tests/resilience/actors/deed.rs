//! What clients do to a server whose actors panic.

/// What a client does, to meet a certain message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Logs in.
    Login,
    /// Logs in, when the server has a hash of too few rounds.
    WeakLogin,
    /// Logs in as a client that nobody knows.
    StrangerLogin,
    /// Logs in, and has the round of it panic.
    PanickingLogin,
    /// Refreshes the pair of the latest login.
    Refresh,
    /// Ends the pair of the latest login.
    Revoke,
    /// Makes a user.
    AddUser,
    /// Makes a client.
    AddClient,
    /// Lists users and clients.
    List,
    /// Asks whether the server is ready.
    AskReadiness,
    /// Verifies a token that nobody knows.
    VerifyUnknown,
    /// Loses the connection to Redis, and has it back.
    Reconnect,
    /// Empties Redis.
    Flush,
    /// Nothing: what is to happen happens by itself.
    Nothing,
}
