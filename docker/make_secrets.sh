#!/bin/sh
# make_secrets.sh [FOLDER]  makes the secrets that compose.yaml names, and leaves those alone that are there already.
# The folder is closed to others; the files in it are not, because a container's user is another one than yours.
# You may edit them: put in your bucket's keys, say.
set -eu
folder=${1:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$folder"
cd "$folder"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
write() { # NAME: what to write is on stdin
    [ -e "$1" ] || { cat >"$1.new" && chmod 644 "$1.new" && mv "$1.new" "$1"; }
}

for name in postgres_password mlflow_password mlflow_session_key ray_token s3_secret_key; do
    random | write "$name"
done
write mlflow_credentials <<EOF
[mlflow]
mlflow_tracking_username = eig-tune
mlflow_tracking_password = $(cat mlflow_password)
EOF
write aws_credentials <<EOF
[default]
aws_access_key_id = eig-tune
aws_secret_access_key = $(cat s3_secret_key)
EOF
