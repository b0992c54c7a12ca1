//! A caller of the practice tenant: signs in, asks, and reads answers as a stranger would.

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;
use unscim::model::id::{AppRoleId, GroupId, UserId};
use unscim::practice::Practice;
use unscim::practice::scenario::Scenario;

/// A caller with a token.
pub struct Caller {
    pub practice: Practice,
    router: Router,
    token: String,
}

pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    pub fn items(&self) -> &Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["value"].as_array().unwrap()
    }
}

impl Caller {
    pub async fn new(scenario: Scenario) -> Caller {
        let practice = Practice::new(scenario).await.unwrap();
        let mut caller = Caller { router: practice.router(), practice, token: String::new() };
        caller.sign_in().await;
        caller
    }

    pub async fn sign_in(&mut self) {
        let ids = self.practice.ids();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &ids.client.to_string())
            .append_pair("client_secret", &self.practice.client_secret())
            .append_pair("scope", "https://graph.microsoft.com/.default")
            .finish();
        let answer = self.send(Method::POST, &format!("/{}/oauth2/v2.0/token", ids.tenant), &[], form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.token = answer.body["access_token"].as_str().unwrap().to_owned();
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let uri = if path.starts_with("http") { path.to_owned() } else { format!("http://practice.test{path}") };
        let mut request = Request::builder().method(method).uri(uri).header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        let path = if path.starts_with("http") { path.to_owned() } else { format!("/v1.0{path}") };
        self.send(Method::GET, &path, &[], String::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, &format!("/v1.0{path}"), &[("content-type", "application/json")], body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, &format!("/v1.0{path}"), &[], String::new()).await
    }

    pub fn app(&self) -> String {
        format!("/servicePrincipals/{}", self.practice.ids().service_principal)
    }

    pub fn job_path(&self) -> String {
        format!("{}/synchronization/jobs/{}", self.app(), self.practice.ids().job)
    }

    pub async fn assign(&self, user: UserId, role: AppRoleId) -> Answer {
        let body = json!({"principalId": user, "resourceId": self.practice.ids().service_principal, "appRoleId": role});
        self.post(&format!("{}/appRoleAssignedTo", self.app()), body).await
    }

    pub async fn rows(&self) -> Vec<Value> {
        self.get(&format!("{}/appRoleAssignedTo?$top=999", self.app())).await.items().clone()
    }

    pub async fn unassign_group(&self, group: GroupId) {
        for row in self.rows().await.iter().filter(|row| row["principalId"] == json!(group)) {
            let path = format!("{}/appRoleAssignedTo/{}", self.app(), row["id"].as_str().unwrap());
            assert_eq!(self.delete(&path).await.status, 204);
        }
    }

    pub async fn job(&self) -> Value {
        self.get(&self.job_path()).await.body
    }

    pub async fn log(&self) -> Vec<Value> {
        let filter = format!("jobId eq '{}'", self.practice.ids().job).replace(' ', "%20");
        self.get(&format!("/auditLogs/provisioning?$filter={filter}&$top=1000")).await.items().clone()
    }

    /// Direct members of a group by its number, as Graph lists them.
    pub async fn members(&self, group: usize) -> Vec<UserId> {
        let path = format!("/groups/{}/members?$select=id", self.practice.ids().groups[group - 1]);
        let members = self.get(&path).await;
        let users = members.items().iter().filter(|member| member["@odata.type"] == "#microsoft.graph.user");
        users.map(|member| UserId(member["id"].as_str().unwrap().parse().unwrap())).collect()
    }

    pub fn target_user(&self, user: UserId) -> Value {
        let id = self.practice.scim_user(user).expect("the user is provisioned");
        let users = self.practice.scim_app().unwrap().users();
        users.into_iter().find(|record| record["id"] == json!(id)).unwrap_or(Value::Null)
    }
}
