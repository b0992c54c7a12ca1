//! What is handed out with the program says what is so: the pages, the rules and the dashboard, the image and the manifests.

mod alerts;
mod deploy;
mod pages;
