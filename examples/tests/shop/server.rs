include!("../../axum/main.rs");
