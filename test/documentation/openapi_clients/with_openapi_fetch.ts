// The same with `openapi-fetch`, by the types that `openapi-typescript` made.

import createClient from 'openapi-fetch';
import type { components, paths } from './made_by_ts.js';

const [address, password, prefix] = process.argv.slice(2) as [string, string, string];
const out: Record<string, unknown> = {};

// What was answered, which has to be a success.
function good<T>(answer: { data?: T; error?: unknown }): T {
    if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
    return answer.data;
}

// The status and the code of a failure.
function failure(answer: { error?: components['schemas']['Problem'] }): [number, string] {
    if (answer.error === undefined) throw new Error('no failure');
    return [answer.error.status, answer.error.code];
}

const short = (key: string) => key.slice(prefix.length);
const at = (kind: string) => ({ path: { key: prefix + kind } });

const anyone = createClient<paths>({ baseUrl: address });
out.wrong_password = failure(await anyone.POST('/v1/login', { body: { login: 'admin', password: 'wrong' } }));
const session = good(await anyone.POST('/v1/login', { body: { login: 'admin', password } }));
out.login = session.token_type;
const headers = { Authorization: `Bearer ${session.access_token}` };
const client = createClient<paths>({ baseUrl: address, headers });

const known = good(await client.POST('/v1/introspect', { body: { token: session.access_token } }));
out.introspected = [known.active, known.username];
out.unknown = good(await client.POST('/v1/introspect', { body: { token: 'unknown' } }));

const values = { string: 'Earth', number: 365.25, object: { next: null }, null: null, bytes: { $binary: 'AP+A' } };
const kinds = Object.keys(values);
const pairs = Object.entries(values).map(([kind, value]) => ({ key: prefix + kind, value }));
out.batch_put = good(await client.POST('/v1/batch/put', { body: { pairs } })).results.map((one) => one.outcome);
const keys = [...kinds, 'none'].map((kind) => prefix + kind);
const read = good(await client.POST('/v1/batch/get', { body: { keys } }));
out.batch_get = Object.fromEntries(read.pairs.map((pair) => [short(pair.key), pair.value]));
out.missing = read.missing.map(short);

const created: Record<string, boolean> = {};
for (const [kind, value] of Object.entries(values)) {
    created[kind] = good(await client.PUT('/v1/kv/{key}', { params: at(kind), body: value })).created;
}
out.pair_put = created;
const found: Record<string, unknown> = {};
for (const kind of kinds) {
    const answer = await client.GET('/v1/kv/{key}', { params: at(kind), parseAs: 'arrayBuffer' });
    const bytes = Buffer.from(good(answer));
    found[kind] = kind === 'bytes' ? bytes.toString('hex') : JSON.parse(bytes.toString());
}
out.pair_get = found;
const stale = { ...at('string'), header: { 'If-Match': '"1"' } };
out.conflict = failure(await client.PUT('/v1/kv/{key}', { params: stale, body: 1 }));
out.no_such_key = failure(await client.GET('/v1/kv/{key}', { params: at('none') }));
out.incr = good(await client.POST('/v1/kv/{key}/incr', { params: at('count'), body: { by: 2 } })).value;
out.incr_without_body = good(await client.POST('/v1/kv/{key}/incr', { params: at('count') })).value;

const listing = good(await client.GET('/v1/kv', { params: { query: { prefix, keys_only: true } } }));
out.list = 'keys' in listing ? listing.keys.map(short) : null;

const done = good(
    await client.POST('/v1/txn', {
        body: {
            compare: [
                { key: prefix + 'string', value: 'Earth' },
                { key: prefix + 'none', exists: false },
            ],
            success: [
                { op: 'put', key: prefix + 'new', value: null, if_revision: 0 },
                { op: 'incr', key: prefix + 'count' },
                { op: 'get', key: prefix + 'bytes' },
            ],
        },
    }),
);
out.txn = [done.succeeded, done.results.map((one) => [one.outcome, one.value ?? null])];

const { revision } = good(await client.PUT('/v1/kv/{key}', { params: at('new'), body: 1 }));
const toDelete = [prefix + 'count', { key: prefix + 'new', if_revision: [1, revision] }];
const deleted = good(await client.POST('/v1/batch/delete', { body: { keys: toDelete } }));
out.batch_delete = deleted.results.map((one) => one.outcome);
out.pair_delete = good(await client.DELETE('/v1/kv/{key}', { params: at('null') })).deleted;

const lines = [0, 1].map((value) => JSON.stringify({ key: `${prefix}lines/${value}`, value }) + '\n').join('');
const asLines = { 'Content-Type': 'application/x-ndjson' };
const imported = await client.POST('/v1/import', {
    body: lines, headers: asLines, bodySerializer: (body) => body as string, parseAs: 'text',
});
out.import = JSON.parse(good(imported).trimEnd().split('\n').at(-1)!);
const exported = await client.GET('/v1/export', { params: { query: { prefix: prefix + 'lines/' } }, parseAs: 'text' });
out.export = good(exported).trimEnd().split('\n').map((line) => JSON.parse(line).value);

const permissions = [...Array(1000).keys()].map((n) => ({ prefix: `${prefix}${n}/`, read: true }));
const wide = { path: { role: 'wide' } };
const role = good(await client.PUT('/v1/admin/roles/{role}', { params: wide, body: { permissions } }));
out.role = role.permissions.length;
await client.DELETE('/v1/admin/roles/{role}', { params: wide });
out.key_set = good(await anyone.GET('/.well-known/jwks.json')).keys.map((key) => key.kty);
await client.POST('/v1/logout');
out.logged_out = failure(await client.GET('/v1/kv'));
console.log(JSON.stringify(out));
