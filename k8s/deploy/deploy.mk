# kind, and the applications on it or on another cluster. Part of the Makefile.

KIND_CLUSTER ?= selfheal
# Empty: kind's default.
KIND_NODE_IMAGE ?=
KIND_PORT ?= 5001
# The only context that any target uses.
CONTEXT ?= kind-$(KIND_CLUSTER)
ON_KIND = $(filter kind-%,$(CONTEXT))
# kind has its own registry; other clusters pull from REGISTRY, or have the images already.
DEPLOY_REGISTRY = $(or $(REGISTRY),$(if $(ON_KIND),localhost:$(KIND_PORT)))
OVERLAY ?= $(if $(ON_KIND),kind,base)
NAMESPACE ?= $(if $(filter hardened,$(OVERLAY)),selfheal,default)
# The registry overlay names its images itself.
PUSHES = $(and $(DEPLOY_REGISTRY),$(filter-out registry,$(OVERLAY)))
DEPLOY = "$(CONTEXT)" "$(OVERLAY)" "$(NAMESPACE)"

##@ On a cluster

.PHONY: kind-up kind-down deploy undeploy wait logs pin-images

kind-up: ## Start a kind cluster with a registry beside it (KIND_CLUSTER, KIND_NODE_IMAGE)
	@k8s/deploy/kind-up "$(KIND_CLUSTER)" "$(KIND_PORT)" "$(KIND_NODE_IMAGE)"

kind-down: ## Remove the kind cluster and its registry
	@k8s/deploy/kind-down "$(KIND_CLUSTER)"

deploy: ## Build and push the images, deploy them to the cluster of CONTEXT (OVERLAY, NAMESPACE, REGISTRY)
	@k8s/deploy/check-cluster "$(CONTEXT)"
ifneq ($(PUSHES),)
	@$(MAKE) --no-print-directory push REGISTRY="$(DEPLOY_REGISTRY)"
endif
	@VERSION=$(VERSION) k8s/deploy/deploy-pushed "$(if $(PUSHES),$(DEPLOY_REGISTRY))" "$(if $(ON_KIND),$(CONTEXT:kind-%=%))" $(DEPLOY)

undeploy: ## Delete the applications from the cluster
	@k8s/deploy/undeploy $(DEPLOY)

wait: ## Wait until the applications are ready, and print their addresses
	@k8s/deploy/wait $(DEPLOY)

logs: ## Follow the logs of the applications
	@kubectl --context "$(CONTEXT)" --namespace "$(NAMESPACE)" logs --follow --prefix --tail 20 --max-log-requests 20 --all-containers \
	  --selector 'app in (numbers-api,numbers-healed,todo-web,todo-db)'

pin-images: ## Write the images pushed to REGISTRY, by digest, into k8s/overlays/registry
	@k8s/deploy/pin-images "$(REGISTRY)"

.PHONY: validate checkov
# The oldest and the newest schemas of the package kubernetes-validate; the project's rules are in crates/packaging/tests/manifests.rs.
validate: ## Check every manifest against the schemas of Kubernetes 1.25 and of the newest (needs Python; installs from PyPI once)
	@k8s/deploy/validate

checkov: ## Check the hardened overlay with checkov; .checkov.yaml lists the exceptions (needs Python; installs from PyPI once)
	@k8s/deploy/run-checkov
