/* Runs a program once and prints its CPU and wall time in microseconds, peak memory in KiB and exit code.
   In C and static, because the peak memory of a process includes that of its launcher before exec. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long micros(long seconds, long micros) { return seconds * 1000000 + micros; }

int main(int argc, char **argv) {
    struct timespec from, to;
    struct rusage used;
    int status;
    if (argc < 2)
        return 3;
    clock_gettime(CLOCK_MONOTONIC, &from);
    pid_t child = fork();
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), 1);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    if (wait4(child, &status, 0, &used) != child)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%ld %ld %ld %d\n",
           micros(used.ru_utime.tv_sec + used.ru_stime.tv_sec, used.ru_utime.tv_usec + used.ru_stime.tv_usec),
           micros(to.tv_sec - from.tv_sec, (to.tv_nsec - from.tv_nsec) / 1000), used.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128);
    return 0;
}
