# kind, and both applications on it or on another cluster. Part of the Makefile.

KIND_CLUSTER ?= selfheal
# Empty is kind's own default.
KIND_NODE_IMAGE ?=
KIND_PORT ?= 5001
# The only cluster that is touched.
CONTEXT ?= kind-$(KIND_CLUSTER)
ON_KIND = $(filter kind-%,$(CONTEXT))
# kind has a registry beside it; elsewhere images come from REGISTRY, or are there already.
DEPLOY_REGISTRY = $(or $(REGISTRY),$(if $(ON_KIND),localhost:$(KIND_PORT)))
OVERLAY ?= $(if $(ON_KIND),kind,base)

##@ On a cluster

.PHONY: kind-up kind-down deploy undeploy wait logs

kind-up: ## Start a kind cluster with a registry beside it (KIND_CLUSTER, KIND_NODE_IMAGE)
	@k8s/deploy/kind-up "$(KIND_CLUSTER)" "$(KIND_PORT)" "$(KIND_NODE_IMAGE)"

kind-down: ## Remove both
	@k8s/deploy/kind-down "$(KIND_CLUSTER)"

deploy: ## Put both applications on the cluster of CONTEXT, images included
	@k8s/deploy/check "$(CONTEXT)"
	@images="numbers-api todo-web $(if $(ON_KIND),$$(k8s/deploy/database))" && \
	$(if $(DEPLOY_REGISTRY),$(MAKE) --no-print-directory push REGISTRY="$(DEPLOY_REGISTRY)" IMAGES="$$images" &&) \
	VERSION=$(VERSION) k8s/deploy/apply "$(CONTEXT)" "$(OVERLAY)" "$(DEPLOY_REGISTRY)" $$images

undeploy: ## Take them off it
	@k8s/deploy/remove "$(CONTEXT)" "$(OVERLAY)"

wait: ## Wait until they serve
	@k8s/deploy/wait "$(CONTEXT)" "$(OVERLAY)"

logs: ## Follow what they say
	@kubectl --context "$(CONTEXT)" logs --follow --prefix --tail 20 --max-log-requests 20 --selector 'app in (numbers-api,todo-web,todo-db)' $(if $(filter hardened,$(OVERLAY)),--namespace selfheal)

.PHONY: validate
# Kubernetes' own schemas, oldest and newest that the package has; the rules of ours are tests (crates/packaging/tests/manifests.rs).
validate: ## Check every manifest against the schemas of Kubernetes 1.25 and of the newest (needs Python, PyPI once)
	@k8s/deploy/validate
