/* A minimal check: connects, sends the startup packet, reads one response. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static const char packet[] = "\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0";
    struct sockaddr_in to = {.sin_family = AF_INET};
    char response[1024];
    if (argc != 2)
        return 3;
    to.sin_port = htons((unsigned short)atoi(argv[1]));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        return 2;
    if (write(fd, packet, sizeof packet) != (ssize_t)sizeof packet)
        return 2;
    ssize_t count = read(fd, response, sizeof response);
    return count > 0 && response[0] == 'R' ? 0 : 2;
}
