// The certified provider `oidc-provider` on a local port, set up by the JSON file that is given: port, keys, clients and
// accounts. The file's accounts are read anew at each sign-in, so that a test can change somebody's groups.
import { readFileSync } from "node:fs"
import Provider from "../web/node_modules/oidc-provider/lib/index.js"

const read = () => JSON.parse(readFileSync(process.argv[2], "utf8"))
const { port, keys, clients, scopes } = read()

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients,
  jwks: { keys },
  claims: { openid: ["sub"], ...scopes },
  cookies: { keys: ["of a test"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, ...read().accounts[id] }),
  }),
})
provider.listen(port, "127.0.0.1", () => console.log("ready"))
