// Signs a token with npm's jose: reads {key (JWK), header, claims} from the standard input, writes the token.
import { importJWK, SignJWT } from 'jose'
import { readFileSync } from 'node:fs'

const { key, header, claims } = JSON.parse(readFileSync(0, 'utf8'))
const signed = await new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(key, header.alg))
process.stdout.write(signed)
