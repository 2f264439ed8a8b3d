"""Runs the vendor's Python SDK against the sandbox, and prints the results as JSON."""

import json
import os

from dropbox_sign import ApiClient, ApiException, Configuration, apis, models

BASE_URL = os.environ["BASE_URL"]
CLIENT_ID = os.environ["CLIENT_ID"]
CLIENT_SECRET = os.environ["CLIENT_SECRET"]

oauth = apis.OAuthApi(ApiClient(Configuration(host=BASE_URL, ignore_operation_servers=True)))


def generate():
    return oauth.oauth_token_generate(
        models.OAuthTokenGenerateRequest(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            code=os.environ["CODE"],
            grant_type="authorization_code",
            state=os.environ["STATE"],
        )
    )


tokens = generate()
fresh = oauth.oauth_token_refresh(
    models.OAuthTokenRefreshRequest(
        grant_type="refresh_token",
        refresh_token=tokens.refresh_token,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
)
# Without client credentials, as in the vendor's sample for old apps.
sample = oauth.oauth_token_refresh(
    models.OAuthTokenRefreshRequest(
        grant_type="refresh_token", refresh_token=fresh.refresh_token
    )
)
api = ApiClient(Configuration(host=BASE_URL + "/v3", access_token=sample.access_token))
account = apis.AccountApi(api).account_get().account
try:
    generate()
    rejection = None
except ApiException as error:
    rejection = {"status": error.status, "body": str(error.body)}

print(
    json.dumps(
        {
            "expires_in": tokens.expires_in,
            "state": tokens.state,
            "is_new": fresh.access_token != tokens.access_token,
            "account_id": account.account_id,
            "rejection": rejection,
        }
    )
)
