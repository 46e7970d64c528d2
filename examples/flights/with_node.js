// The same queries with node-pg: `node with_node.js postgresql://…` prints {name: rows} as JSON, values as text.
'use strict';
const fs = require('fs');
const path = require('path');
const { Client } = require('pg');

const asText = { getTypeParser: () => (value) => value };

function queries() {
  const text = fs.readFileSync(path.join(__dirname, 'queries.sql'), 'utf8');
  return text.split('-- name: ').slice(1).map((part) => {
    const end = part.indexOf('\n');
    return [part.slice(0, end).trim(), part.slice(end + 1).trim().replace(/;$/, '')];
  });
}

async function main(uri) {
  const client = new Client({ connectionString: uri, types: asText });
  await client.connect();
  const answers = {};
  for (const [name, sql] of queries()) {
    const result = await client.query({ text: sql, rowMode: 'array' });
    answers[name] = result.rows;
  }
  // Parameters travel by the extended protocol.
  const one = await client.query({
    text: 'SELECT name FROM airlines WHERE carrier = $1 AND length(name) > $2::int',
    values: ['UA', 3],
    rowMode: 'array',
  });
  answers['an airline by parameter'] = one.rows;
  await client.end();
  process.stdout.write(JSON.stringify(answers));
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
