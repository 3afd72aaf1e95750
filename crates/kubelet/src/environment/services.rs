//! Variables with the addresses of the services in the pod's namespace.
//!
//! Source: the Kubernetes documentation, "Service environment variables".

use k8s_openapi::api::core::v1::Service;

/// Returns the variables of all services that have a cluster IP.
pub(super) fn service_variables(services: &[Service]) -> Vec<(String, String)> {
    services.iter().flat_map(variables_of_service).collect()
}

fn variables_of_service(service: &Service) -> Vec<(String, String)> {
    let Some(spec) = &service.spec else {
        return Vec::new();
    };
    let address = spec.cluster_ip.as_deref().unwrap_or_default();
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports
        .first()
        .filter(|_| !address.is_empty() && address != "None")
    else {
        return Vec::new();
    };
    let name = env_name(service.metadata.name.as_deref().unwrap_or_default());
    let mut variables = vec![
        (format!("{name}_SERVICE_HOST"), address.to_owned()),
        (format!("{name}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in ports
        .iter()
        .filter_map(|port| Some((env_name(port.name.as_deref()?), port.port)))
    {
        variables.push((
            format!("{name}_SERVICE_PORT_{}", port.0),
            port.1.to_string(),
        ));
    }
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{address}:{}", protocol.to_lowercase(), port.port);
        let prefix = format!("{name}_PORT_{}_{protocol}", port.port);
        if index == 0 {
            variables.push((format!("{name}_PORT"), url.clone()));
        }
        variables.push((prefix.clone(), url));
        variables.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
        variables.push((format!("{prefix}_PORT"), port.port.to_string()));
        variables.push((format!("{prefix}_ADDR"), address.to_owned()));
    }
    variables
}

fn env_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
