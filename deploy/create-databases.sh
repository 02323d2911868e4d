#!/bin/sh
# Run once by the database image: a login and a database per service, closed to all the others. The address that a service
# is given, postgres://<service>:<password>@…, says which. It is read by psql: an argument would show it to other processes.
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
