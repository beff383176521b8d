module guestcore

go 1.26
