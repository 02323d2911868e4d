#!/bin/sh
# Run once by the database image: a login and a database per service, closed to all the others.
set -eu
for service in identity catalog search inventory orders payments notifications registry config; do
  variable=$(echo "${service}_PASSWORD" | tr '[:lower:]' '[:upper:]')
  psql --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 --set password="$(printenv "$variable")" <<SQL
CREATE ROLE $service LOGIN PASSWORD :'password';
CREATE DATABASE $service OWNER $service;
REVOKE CONNECT ON DATABASE $service FROM PUBLIC;
SQL
done
