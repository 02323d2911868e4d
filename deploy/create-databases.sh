#!/bin/sh
# The database image runs this once. Creates a login and a database per service, without access for other services. The
# password comes from the service's address, postgres://<service>:<password>@…. psql reads it from the file, because other
# processes can see arguments.
set -eu
for file in /run/secrets/*_database_url; do
  service=$(basename "$file" _database_url)
  psql --username "${POSTGRES_USER:-postgres}" --set ON_ERROR_STOP=1 <<SQL
\set password \`sed 's|^[^:]*://[^:]*:\([^@]*\)@.*|\1|' "$file"\`
CREATE ROLE $service LOGIN CONNECTION LIMIT 40 PASSWORD :'password';
CREATE DATABASE $service OWNER $service;
REVOKE CONNECT ON DATABASE $service FROM PUBLIC;
SQL
done
