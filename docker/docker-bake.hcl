# For `docker buildx bake`; `make images` and `make push` set the variables.

# A registry and a slash. Local images have the name that the manifests have, which no public registry resolves.
variable "PREFIX" { default = "localhost/" }
variable "VERSION" { default = "dev" }
variable "REVISION" { default = "unknown" }
variable "CREATED" { default = "1970-01-01T00:00:00Z" }
variable "SOURCE" { default = "" }

group "default" { targets = ["image"] }

target "image" {
  matrix     = { image = ["numbers-api", "todo-web", "probe-sidecar", "pg-ready", "todo-db"] }
  name       = image
  context    = "."
  dockerfile = "docker/Dockerfile"
  target     = image
  tags       = ["${PREFIX}selfheal/${image}:${VERSION}"]
  args       = { VERSION = VERSION, REVISION = REVISION, CREATED = CREATED }
  labels     = SOURCE == "" ? {} : { "org.opencontainers.image.source" = SOURCE }
}
