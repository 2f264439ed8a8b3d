"""Prints the milliseconds of five logins in a row with the vendor's Python SDK."""

import sys
import time

from dropbox_sign import ApiClient, Configuration, apis, models

configuration = Configuration(host=sys.argv[1], ignore_operation_servers=True)
# The time does not depend on it.
configuration.verify_ssl = False
oauth = apis.OAuthApi(ApiClient(configuration))
for _ in range(5):
    request = models.OAuthTokenGenerateRequest(
        client_id="cc91c61d00f8bb2ece1428035716b",
        client_secret="1d14434088507ffa390e6f5528465",
        code="1b0d28d90c86c141",
        grant_type="authorization_code",
        state="900e06e2",
    )
    start = time.perf_counter()
    oauth.oauth_token_generate(request)
    print(1000 * (time.perf_counter() - start))
