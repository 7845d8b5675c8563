#!/bin/sh
# Puts what a container gets as variables where HAProxy reads it, and becomes HAProxy.
set -eu
umask 077
if [ -n "${SIGNET_EDGE_CERT_PEM:-}" ]; then
  # From a secret: certificate chain and private key. It goes to memory, not to a disk.
  SIGNET_EDGE_CERT="${TMPDIR:-/dev/shm}/edge.pem"
  printf '%s\n' "$SIGNET_EDGE_CERT_PEM" > "$SIGNET_EDGE_CERT"
  unset SIGNET_EDGE_CERT_PEM
  export SIGNET_EDGE_CERT
fi
export SIGNET_EDGE_BIND="${SIGNET_EDGE_BIND:-:8443}"
exec haproxy -db -f "${SIGNET_EDGE_CONFIG:-/usr/local/etc/haproxy/haproxy.cfg}"
