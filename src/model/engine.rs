//! What Entra's provisioning engine would do with a scope: pure, used by the practice tenant (and by foresight).
