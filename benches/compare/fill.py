"""Makes a client and users with Flask-Sentinel, copies them to a database for Sentinel, and prints
the client's identifier: fill.py DATABASE FILE, where FILE has a `name:password` a line."""

import sys

from flask_sentinel.core import mongo
from flask_sentinel.data import Storage

from app import app


def main():
    database, users = sys.argv[1:]
    with app.app_context(), open(users, encoding="utf-8") as lines:
        client = Storage.generate_client()
        for line in lines:
            Storage.save_user(*line.strip().split(":"))
        for name in ("clients", "users"):
            copies = mongo.cx[database][name]
            copies.insert_many(list(mongo.db[name].find()))
    print(client.client_id)


if __name__ == "__main__":
    main()
