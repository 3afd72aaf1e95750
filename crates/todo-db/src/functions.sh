# Functions of the official image's entrypoint that scripts call. They are POSIX; only bash has the array `psql`.

docker_process_sql() {
  if [ -n "${POSTGRES_DB:-}" ]; then set -- --dbname "$POSTGRES_DB" "$@"; fi
  psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc "$@"
}

docker_process_init_files() {
  for init_file; do
    case $init_file in
      *.sh) if [ -x "$init_file" ]; then "$init_file"; else . "$init_file"; fi ;;
      *.sql) docker_process_sql -f "$init_file" ;;
      *.sql.gz) gzip -dc "$init_file" | docker_process_sql ;;
      *.sql.xz) xz -dc "$init_file" | docker_process_sql ;;
      *.sql.zst) zstd -dc "$init_file" | docker_process_sql ;;
      *) echo "todo-db: ignoring $init_file" >&2 ;;
    esac
  done
}

# Sets variable $1 to the content of the file that $1_FILE names, or to $2.
file_env() {
  eval "env_value=\${$1:-} env_file=\${$1_FILE:-}"
  if [ -n "$env_value" ] && [ -n "$env_file" ]; then
    echo "error: both $1 and $1_FILE are set (but are exclusive)" >&2
    exit 1
  fi
  if [ -n "$env_file" ]; then env_value=$(cat "$env_file"); fi
  export "$1=${env_value:-${2:-}}"
  unset "$1_FILE"
}

if [ -n "${BASH_VERSION:-}" ]; then
  eval 'set -Eo pipefail; psql=(docker_process_sql)'
fi
set -e
. "$1"
