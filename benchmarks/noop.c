/* What it costs to start a static program and to wait for its end. */
int main(void) { return 0; }
