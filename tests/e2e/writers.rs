//! x
#[test]
fn server_starts() {
    let server = crate::s3::server();
    let environment = crate::environment::TestEnvironment::new();
    let raw = crate::raw::real(&environment);
    let t = std::time::Instant::now();
    let url = server.upload(&raw, &server.prefix("x"));
    panic!("{url} {:?} {} {}", t.elapsed(), server.keys("x-0").len(), crate::raw::numbered(1, 1));
}
