// What the crate aws-parameters-and-secrets-lambda can ask of the extension: a line of JSON with all that it got.
use aws_parameters_and_secrets_lambda::{ManagerBuilder, QueryBuilder};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Database {
    host: String,
    port: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let version = std::env::var("VERSION").unwrap();
    let manager = ManagerBuilder::new().build().unwrap();
    let database: Database = manager.get_secret("database").get_typed().await.unwrap();
    let size: u32 = manager.get_parameter("/size", false).get_typed().await.unwrap();
    let full = manager.get_parameter("/secure", true).get_as_full_extension_response().await.unwrap().parameter;
    let stage = QueryBuilder::new("versions").with_version_stage("AWSPREVIOUS");
    let numbered = QueryBuilder::new("versions").with_version_id(&version);
    let wrong = ManagerBuilder::new().with_token("wrong".into()).build().unwrap();
    println!(
        "{}",
        json!({
            "raw": manager.get_secret("database").get_raw().await.unwrap(),
            "single": manager.get_secret("database").get_single("host").await.unwrap(),
            "typed": [database.host, database.port.to_string()],
            "stage": manager.get_secret(stage).get_raw().await.unwrap(),
            "version": manager.get_secret(numbered).get_raw().await.unwrap(),
            "parameter": size,
            "full": [full.arn, full.data_type, full.name, full.r#type, full.value, full.version.to_string()],
            "missing": format!("{:#}", manager.get_secret("missing").get_raw().await.unwrap_err()),
            "wrong token": format!("{:#}", wrong.get_secret("database").get_raw().await.unwrap_err()),
        })
    );
}
