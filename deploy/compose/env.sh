#!/bin/sh
# Makes .env out of .env.example with secrets of its own, and prints the key for
# the API, which is kept nowhere else. An .env that exists is left alone.
set -eu
cd "$(dirname "$0")/../.."
umask 077

if [ -e .env ]; then
	echo ".env exists already: remove it first, if nothing needs its secrets any more" >&2
	exit 1
fi

base64_of() { head -c "$1" /dev/urandom | base64 | tr -d '\n'; }
letters() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c "$1"; }

key="hr_$(letters 43)"
hash="$(printf %s "$key" | sha256sum | cut -d ' ' -f 1)"

sed -e "/^#   hr_/d" -e "s|This one is of\$|The key was shown once.|" \
	-e "s|^\(HEADRACE_API_KEY_HASH\)=.*|\1=sha256:$hash|" \
	-e "s|^\(HEADRACE_ENCRYPTION_KEY\)=.*|\1=$(base64_of 32)|" \
	-e "s|^\(HEADRACE_WEBHOOK_SECRET\)=.*|\1=whsec_$(base64_of 32)|" \
	-e "s|^\(POSTGRES_PASSWORD\)=.*|\1=$(letters 32)|" \
	-e "s|^\(S3_SECRET_KEY\)=.*|\1=$(letters 40)|" \
	.env.example >.env

echo "Wrote .env. The key for the API, shown this once:" >&2
echo "$key"
