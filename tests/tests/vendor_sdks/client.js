// Runs the vendor's Node SDK against the sandbox, and prints the results as JSON.

const { AccountApi, OAuthApi } = require("@dropbox/sign");

const { BASE_URL, CLIENT_ID, CLIENT_SECRET, CODE, STATE } = process.env;
const client = { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET };
const oauth = new OAuthApi(BASE_URL);

async function generate() {
  const grantType = "authorization_code";
  const response = await oauth.oauthTokenGenerate({ ...client, code: CODE, grantType, state: STATE });
  return response.body;
}

async function refresh(refreshToken, credentials) {
  const grantType = "refresh_token";
  const response = await oauth.oauthTokenRefresh({ grantType, refreshToken, ...credentials });
  return response.body;
}

async function main() {
  const tokens = await generate();
  const fresh = await refresh(tokens.refreshToken, client);
  // Without client credentials, as in the vendor's sample for old apps.
  const sample = await refresh(fresh.refreshToken, {});
  const accounts = new AccountApi(`${BASE_URL}/v3`);
  accounts.accessToken = sample.accessToken;
  const { account } = (await accounts.accountGet()).body;
  let rejection = null;
  try {
    await generate();
  } catch (error) {
    rejection = { status: error.statusCode, body: JSON.stringify(error.body) };
  }
  console.log(
    JSON.stringify({
      expires_in: tokens.expiresIn,
      state: tokens.state,
      is_new: fresh.accessToken !== tokens.accessToken,
      account_id: account.accountId,
      rejection,
    }),
  );
}

main();
