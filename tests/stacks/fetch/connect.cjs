// Exchanges the code of the query in the environment. `.ci/wasm` builds the package.
const { connect } = require(process.argv[2]);
const { BASE_URL, CLIENT_ID, CLIENT_SECRET, QUERY, STATE } = process.env;

connect(BASE_URL, CLIENT_ID, CLIENT_SECRET, QUERY, STATE)
    .then((email) => console.log(`connected to ${email}`))
    .catch((error) => {
        console.error(error.message);
        process.exit(1);
    });
