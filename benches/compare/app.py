"""The program of Flask-Sentinel's README, for gunicorn, with its stores from the environment."""

import os

from flask import Flask
from flask_sentinel import ResourceOwnerPasswordCredentials, oauth

app = Flask(__name__)
app.config["SENTINEL_MONGO_PORT"] = int(os.environ["COMPARE_MONGO_PORT"])
app.config["SENTINEL_REDIS_URL"] = os.environ["COMPARE_REDIS_URL"]


@app.route("/endpoint")
@oauth.require_oauth()
def restricted_access():
    return "You made it through and accessed the protected resource!"


ResourceOwnerPasswordCredentials(app)
