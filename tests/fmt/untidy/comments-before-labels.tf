resource /* dropped */ "a" /* dropped too */ "b" /* kept */ {
}
module /* kept */ {}
