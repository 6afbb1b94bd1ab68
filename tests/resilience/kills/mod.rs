//! `kill -9` of the server, of Redis and of mongod under load: a history is checked afterwards.
